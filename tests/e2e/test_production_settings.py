"""Unsafe settings of production: commands that see the whole `.env` report all problems at once and do nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.dev.stack.compose.settings import given_settings, refuse_invalid, resolve
from ops.dev.stack.contract import StackError
from ops.dev.stack.home import State
from tests.support.checkout import copy_of_checkout

_ROOT = Path(__file__).parents[2]
_SAME = "k9xVx2rmQ7pLw4dGc3F0uWeXa"
_UNSAFE = f"""BUILD_ENV=prod
APP_URL=http://money-flow.example
SECRET_KEY=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
POSTGRES_PASSWORD=change-me
POSTGRES_RELAY_PASSWORD={_SAME}
REDIS_PASSWORD={_SAME}
GRAFANA_PASSWORD=grafana
MAIL_USERNAME=me
MAIL_PASSWORD=short
"""
#: What each line of the report begins with.
_PROBLEMS = (
    "APP_URL begins with http", "GRAFANA_PASSWORD has fewer than 16", "MAIL_ENCRYPTION is none",
    "POSTGRES_PASSWORD: BUILD_ENV=prod refuses a default", "POSTGRES_RELAY_PASSWORD, REDIS_PASSWORD are equal",
    "SECRET_KEY is easy to guess",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an unsafe `.env`."""
    (tmp_path / ".env").write_text(_UNSAFE, encoding="utf-8")
    return tmp_path


def _run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env=environment | {"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def _reported(text: str) -> list[str]:
    return [problem for problem in _PROBLEMS if problem in text]


def test_migrate_reports_every_problem_and_touches_no_server(folder: Path) -> None:
    done = _run(folder, "ops.migrate")

    assert done.returncode == 2
    assert _reported(done.stderr) == list(_PROBLEMS)
    assert _SAME not in done.stderr


def test_doctor_reports_every_problem_and_nothing_once_they_are_solved(folder: Path) -> None:
    sick = _run(folder, "ops.cli", "doctor")
    (folder / ".env").write_text(f"SECRET_KEY={_SAME}{_SAME}\n", encoding="utf-8")
    well = _run(folder, "ops.cli", "doctor")

    assert (sick.returncode, _reported(sick.stdout)) == (1, list(_PROBLEMS))
    assert _SAME not in sick.stdout
    assert (well.returncode, well.stdout) == (0, "the settings of every process are valid\n"), well.stderr


def test_make_up_without_docker_reports_every_problem_and_starts_nothing(tmp_path: Path) -> None:
    checkout = copy_of_checkout(tmp_path / "checkout")
    (checkout / ".env").write_text(_UNSAFE, encoding="utf-8")
    try:
        done = _run(checkout, "ops.dev.stack", "up", "--with", "native")
        pids = State(checkout / ".stack").read().get("pids", {})
    finally:
        _run(checkout, "ops.dev.stack", "reset")

    assert done.returncode == 1
    assert _reported(done.stderr) == list(_PROBLEMS)
    assert pids == {}


def test_make_up_with_docker_reports_every_problem_before_it_builds(folder: Path) -> None:
    given = given_settings(folder / ".env", {})
    values = resolve(given, State(folder), published=(), taken=())

    with pytest.raises(StackError) as caught:
        refuse_invalid(values)

    assert _reported(str(caught.value)) == list(_PROBLEMS)
