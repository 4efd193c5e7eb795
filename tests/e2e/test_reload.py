"""Reload in development: a worker restarts with each change of the source, loses no job, and survives a bad change."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from ops.dev.stack.home import State
from tests.support import jobs
from tests.support.checkout import copy_of_checkout
from tests.support.effects import LeaveEffect, begun
from tests.support.processes import Processes, free_port
from tests.support.stacks import PROGRAMS
from tests.support.waiting import eventually

#: The last line of the handler of `purge`.
_RETURN = re.compile(r"return \w+\.purge\(.*\)")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of this checkout that a test may change."""
    return copy_of_checkout(tmp_path / "checkout")


class Developer:
    """Changes the handler of `purge`, and reads from a job's result which source ran."""

    def __init__(self, checkout: Path, database: Database) -> None:
        self._handler = checkout / "workers" / "jobs" / "purge.py"
        self._source = self._handler.read_text(encoding="utf-8")
        self._database = database
        assert len(_RETURN.findall(self._source)) == 1

    def writes(self, returned: str) -> None:
        """Change the value that the handler returns."""
        self._handler.write_text(_RETURN.sub(f"return {returned}", self._source), encoding="utf-8")

    def sees(self, result: dict[str, Any]) -> bool:
        """Run the job and compare."""
        (job_id,) = jobs.enqueue(self._database, Purge())
        jobs.until_all(self._database, [job_id], "succeeded", seconds=60)
        found: object = jobs.job(self._database, job_id)["result"]
        return found == result


@pytest.fixture
def developer(checkout: Path, database: Database) -> Developer:
    return Developer(checkout, database)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "reloaded.log"


def _start(
    command: list[str], checkout: Path, environment: dict[str, str], log: Path, *, until: str = ""
) -> "Iterator[subprocess.Popen[bytes]]":
    """Start it and wait until its log says so: a change before that would be no change."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=checkout, stdout=output, stderr=output,
            env=os.environ | environment | {"PYTHONPATH": str(checkout)},
        )  # fmt: skip
    try:
        eventually(lambda: until in log.read_text(), seconds=60, what=f"{command[0]} says {until!r}")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def reloaded(
    platform: AllSettings, environment: dict[str, str], checkout: Path, log: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a worker on the copy, as its container does in development."""
    port = str(free_port())
    worker = [sys.executable, "-m", "tests.support.sabotage", "nothing", "workers"]
    yield from _start(
        ["ops.dev.stack.reload", *worker],
        checkout,
        environment | {"WORKER_METRICS_PORT": port},
        log,
        until="worker_ready",
    )


def test_a_worker_takes_up_a_change_and_finishes_first_what_it_runs(
    reloaded: "subprocess.Popen[bytes]",
    database: Database,
    processes: Processes,
    developer: Developer,
    hold: Path,
    log: Path,
) -> None:
    processes.relay()
    (in_hand,) = jobs.enqueue(database, LeaveEffect(held_by=str(hold)))
    eventually(lambda: begun(hold) == 1, what="the job runs")

    developer.writes("{'source': 'new'}")
    eventually(lambda: "worker_stopping" in log.read_text(), what="the worker is asked to stop")
    waiting = jobs.enqueue(database, *[LeaveEffect() for _ in range(20)])
    hold.unlink()

    assert developer.sees({"source": "new"})
    jobs.until_all(database, [in_hand, *waiting], "succeeded")
    ids = [in_hand, *waiting]
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
    assert [attempt["outcome"] for attempt in jobs.attempts(database, in_hand)] == ["succeeded"]
    assert reloaded.poll() is None


def test_a_syntax_error_is_logged_and_restarts_nothing_until_it_is_fixed(
    reloaded: "subprocess.Popen[bytes]", processes: Processes, developer: Developer, log: Path
) -> None:
    processes.relay()
    developer.writes("{'source': 'first'}")
    eventually(lambda: developer.sees({"source": "first"}), seconds=60, what="the change is taken up")

    developer.writes("{'source': ")
    eventually(lambda: "not reloaded:" in log.read_text(), what="the error is logged")
    still = developer.sees({"source": "first"})
    developer.writes("{'source': 'mended'}")
    eventually(lambda: developer.sees({"source": "mended"}), seconds=60, what="the mended source is taken up")

    assert still
    assert "purge.py: '{' was never closed" in log.read_text()
    assert reloaded.poll() is None


def test_a_source_that_cannot_be_imported_ends_nothing_but_itself(
    reloaded: "subprocess.Popen[bytes]", processes: Processes, developer: Developer, log: Path
) -> None:
    processes.relay()
    developer.writes("{}\n\nfrom nowhere import nothing")
    eventually(lambda: "right after the reload" in log.read_text(), seconds=60, what="the failed start is logged")

    developer.writes("{'source': 'mended'}")

    assert developer.sees({"source": "mended"})
    assert "No module named 'nowhere'" in log.read_text()
    assert reloaded.poll() is None


@pytest.fixture
def supervisor(
    platform: AllSettings, environment: dict[str, str], checkout: Path, log: Path
) -> "Iterator[subprocess.Popen[bytes]]":
    """Keep all processes of the copy running, as `make up` does without Docker."""
    yield from _start(["ops.dev.stack.supervisor"], checkout, environment, log)
    subprocess.run([sys.executable, "-m", "ops.dev.stack", "reset"], cwd=checkout, capture_output=True, check=True)


def test_without_docker_every_process_is_restarted_by_its_supervisor(
    supervisor: "subprocess.Popen[bytes]", checkout: Path, developer: Developer, log: Path
) -> None:
    eventually((checkout / ".stack").exists, what="the supervisor begins")
    state = State(checkout / ".stack")
    eventually(lambda: all(_is_ready(state, name) for name in PROGRAMS), seconds=60, what="everything is ready")
    before = state.read()["pids"]

    developer.writes("{'source': 'new'}")
    eventually(lambda: "reloading:" in log.read_text(), what="the change is seen")
    eventually(lambda: developer.sees({"source": "new"}), seconds=60, what="the change is taken up")
    # The API's successor takes over when it has loaded the application; until then the old one is ready.
    eventually(lambda: _unchanged(state, before) == [], seconds=60, what="every process is another one")
    eventually(lambda: all(_is_ready(state, name) for name in PROGRAMS), seconds=60, what="everything is ready again")

    assert "ended after" not in log.read_text()


def _unchanged(state: State, before: dict[str, Any]) -> list[str]:
    after = state.read()["pids"]
    return [name for name in before if name in after and before[name] == after[name] and name in PROGRAMS]


def _is_ready(state: State, name: str) -> bool:
    port = state.value("ports", name)
    try:
        return (
            port is not None
            and httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, verify=False, timeout=5).is_success
        )
    except httpx.HTTPError:
        return False
