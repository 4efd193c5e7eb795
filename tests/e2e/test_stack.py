"""A checkout of its own: the stack starts after a start that was killed, the demo's sums hold, nothing is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.dev.stack.processes import processes_in
from tests.support.checkout import copy_of_checkout
from tests.support.servers import RealServers
from tests.support.waiting import eventually


@pytest.fixture
def checkout(tmp_path: Path, servers: RealServers) -> Iterator[Path]:
    """Return a second checkout on this machine; what it starts is stopped and its data deleted."""
    assert servers, "they run next to this stack, and so does whatever else is on this machine"
    folder = copy_of_checkout(tmp_path / "checkout")
    yield folder
    _run(folder, "ops.dev.stack", "reset")


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _run(folder: Path, module: str, *arguments: str) -> str:
    done = subprocess.run(
        _command(module, *arguments), cwd=folder, capture_output=True, text=True, check=False, timeout=360
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(900)
def test_a_stack_starts_after_a_killed_start_the_demo_holds_and_a_reset_leaves_nothing(checkout: Path) -> None:
    log = checkout / "killed.log"
    with log.open("w") as output:
        killed = subprocess.Popen(_command("ops.dev.stack", "up", "--with", "native"), cwd=checkout, stderr=output)
    eventually(lambda: "✓ postgres" in log.read_text(), seconds=240, what="the start is half-way")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()

    shown = _run(checkout, "ops.dev.demo", "--with", "native")
    environment = dict(line.split("=", 1) for line in _run(checkout, "ops.dev.stack", "env").splitlines())
    found = _run(checkout, "ops.cli", "queue", "status", "--json")
    home = (checkout / ".stack").resolve()
    running = processes_in(home)
    _run(checkout, "ops.dev.stack", "reset")

    assert "every sum holds" in shown
    assert '"paused": []' in found, "without an environment the command finds this checkout's stack"
    assert environment["APP_URL"] == f"https://127.0.0.1:{environment['HTTPS_PORT']}"
    assert environment["APP_CA_FILE"] == str(home / "nginx" / "certificates" / "ca.pem")
    assert running, "the demo leaves the stack running"
    assert not any(process.is_alive() for process in running)
    assert not home.exists()
