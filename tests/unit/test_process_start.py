"""A process that cannot start says so in one line: a taken port, Ctrl-C, packages that are missing."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from moneyflow.platform.errors import ConfigurationError
from moneyflow.platform.telemetry.start import run
from ops.dev.stack import packages
from ops.dev.stack.contract import StackError
from tests.support.processes import free_port

_ROOT = Path(__file__).parents[2]
#: No server answers there.
_SERVERS = {f"{name}_{part}": value for name in ("POSTGRES", "RABBITMQ", "REDIS", "KAFKA")
            for part, value in (("HOST", "127.0.0.1"), ("PORT", "1"))}  # fmt: skip


@pytest.fixture
def taken_port() -> Iterator[str]:
    """Return a port on which another process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.mark.parametrize(
    ("module", "setting"),
    [
        (["workers"], "WORKER_METRICS_PORT"),
        (["workers.relay"], "RELAY_METRICS_PORT"),
        (["consumers", "audit"], "CONSUMER_METRICS_PORT"),
        (["gunicorn", "--config", "python:api.server"], "APP_PORT"),
        (["gunicorn", "--config", "python:api.server"], "API_METRICS_PORT"),
    ],
)
def test_a_taken_port_is_one_line_with_the_setting(taken_port: str, module: list[str], setting: str) -> None:
    ports = {"APP_PORT": str(free_port()), "API_METRICS_PORT": str(free_port()), setting: taken_port}
    own = {"BUILD_ENV": "dev", "SECRET_KEY": "k" * 40, "BIND_HOST": "127.0.0.1", **ports}
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=_ROOT, env=os.environ | _SERVERS | own, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.returncode == 2
    taken = f"port {taken_port} of 127.0.0.1 is taken by another process; end that process"
    assert done.stderr == f"{taken}, or set {setting} to another port\n"
    assert "Traceback" not in done.stdout


def test_ctrl_c_ends_a_process_with_one_line_and_130(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        run(main)

    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_settings_that_turn_out_wrong_later_end_a_process_with_one_line_and_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> int:
        raise ConfigurationError("the certificate is expired; renew it")

    with pytest.raises(SystemExit) as ended:
        run(main)

    assert ended.value.code == 2
    assert capsys.readouterr().err == "the certificate is expired; renew it\n"


@pytest.mark.parametrize("has_apt", [True, False])
def test_packages_that_cannot_be_installed_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_apt: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        shutil, "which", lambda name, **_: "/usr/bin/apt-get" if name == "apt-get" and has_apt else None
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(StackError) as refused:
        packages.ensure(Console())

    text = str(refused.value)
    assert "Redis" in text
    assert ("apt-get install -y --no-install-recommends" in text) is has_apt
    assert "redis-server" in text
    assert "maven" in text


def test_each_command_of_make_help_is_whole_and_fits_into_80_columns() -> None:
    done = subprocess.run(["make", "-s", "help"], cwd=_ROOT, capture_output=True, text=True, check=True)

    printed = " ".join(done.stdout.split())
    targets = [
        line.split(":")[0] for line in (_ROOT / "Makefile").read_text().splitlines() if ":" in line and " ## " in line
    ]
    texts = [line.partition(" ## ")[2] for line in (_ROOT / "Makefile").read_text().splitlines() if " ## " in line]
    assert len(targets) > 10
    for target, text in zip(targets, texts, strict=True):
        assert f"make {target} {' '.join(text.split())}" in printed
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
