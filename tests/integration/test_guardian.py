"""The guardian of a test run: whatever kills the run, none of its servers, stacks and folders is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moneyflow.platform import settings as settings_module
from ops.dev.stack.processes import Identity, identify
from tests.support import guardian
from tests.support.servers import RUN, begin_run
from tests.support.waiting import eventually

_ROOT = Path(__file__).parents[2]
#: The process of a run: it starts a server, one whose pid it has not kept yet, a process of a second stack, and what
#: keeps such processes running; it prints the run's folder and their pids, and waits.
_RUN_OF = """
import sys, time
from pathlib import Path
from ops.dev.stack.processes import spawn
from tests.support.checkout import copy_of_checkout
from tests.support.servers import Fleet, begin_run

def process_in(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return spawn(["sleep", "600"], environment={}, log=folder / "log", folder=folder).pid

run, home = begin_run(keep=False), Path(sys.argv[1], "home")
checkout = copy_of_checkout(Path(sys.argv[1], "checkout"))
(checkout / ".stack").symlink_to(home)
server = Fleet(run).shared.redis.identity().pid
started = [process_in(folder) for folder in (run / "shared" / "kafka", home / "postgres", checkout)]
print(run, server, *started, flush=True)
time.sleep(600)
"""


@contextmanager
def _run(folder: Path) -> "Iterator[tuple[subprocess.Popen[str], Path, list[Identity]]]":
    """Begin a run; yield its process, its folder and the processes that it has started."""
    unset = {RUN, *settings_module.known_names()}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    with subprocess.Popen(
        [sys.executable, "-c", _RUN_OF, str(folder)], stdout=subprocess.PIPE, text=True, cwd=_ROOT,
        env=environment | {"PYTHONPATH": str(_ROOT)}, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            run, *pids = process.stdout.readline().split()
            started = [identity for pid in pids if (identity := identify(int(pid)))]
            assert len(started) == 4
            yield process, Path(run), started
        finally:
            process.kill()


def _is_over(run: Path, started: list[Identity], folder: Path) -> bool:
    left = [run.exists(), (folder / "home").exists(), *(process.is_alive() for process in started)]
    return not any(left)


def test_a_run_that_is_killed_leaves_no_server_no_second_stack_and_no_folder(tmp_path: Path) -> None:
    with _run(tmp_path) as (process, run, started):
        os.killpg(process.pid, signal.SIGKILL)

        eventually(lambda: _is_over(run, started, tmp_path), what="the guardian has ended the run")


def test_a_run_that_is_killed_with_its_guardian_is_ended_when_the_next_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RUN, os.environ[RUN])
    with _run(tmp_path) as (process, run, started):
        (watching,) = _guardians(run)
        watching.signal(signal.SIGKILL)
        assert watching.wait_gone(10)
        process.kill()
        process.wait()

        next_run = begin_run(keep=False)
        guardian.end_run(next_run)

        assert _is_over(run, started, tmp_path)


def _guardians(run: Path) -> list[Identity]:
    command = f"tests.support.guardian\0{run}\0".encode()
    entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit())
    pids = [int(entry.name) for entry in entries if _command(entry).endswith(command)]
    return [identity for pid in pids if (identity := identify(pid))]


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
