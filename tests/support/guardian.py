"""`python -m tests.support.guardian PID RUN`: end what a run of the tests has started once process PID has ended."""

import os
import select
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ops.dev.stack.home import State
from ops.dev.stack.processes import Identity, identify, wait_until


def end_run(run: Path) -> None:
    """Kill the processes that tests have left, then the run's servers, and delete its folder."""
    for process in _processes_of(run):
        process.signal(signal.SIGKILL)
    for state in run.glob("*/state.json"):
        if not state.parent.is_symlink():  # The set that KEEP=1 keeps.
            end_servers(state.parent)
    _delete(run)


def end_servers(folder: Path) -> None:
    """Kill the servers of a set and delete their data."""
    pids = [Identity(*kept) for kept in State(folder).read().get("pids", {}).values()]
    for identity in pids:
        identity.signal(signal.SIGKILL, group=True)
    for identity in pids:
        identity.wait_gone(10)
    _delete(folder)


def _processes_of(run: Path) -> list[Identity]:
    """Return the processes that have the run's folder in their environment, without this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            identity = identify(int(entry.name)) if _is_of(run, entry) else None
            if identity:
                found.append(identity)
    return found


def _is_of(run: Path, process: Path) -> bool:
    try:
        return f"={run}\0".encode() in (process / "environ").read_bytes()
    except OSError:
        return False


def _delete(folder: Path) -> None:
    """Delete a folder; the last processes of a server that was killed may still write to it for a moment."""

    def has_ended() -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()

    wait_until(has_ended, seconds=10)


def main() -> None:
    """Wait for the end of the process, then leave nothing of its run."""
    parent, run = int(sys.argv[1]), Path(sys.argv[2])
    with suppress(ProcessLookupError):
        select.select([os.pidfd_open(parent)], [], [])
    if run.exists():  # A run that has ended by itself has cleaned up.
        end_run(run)


if __name__ == "__main__":
    main()
