"""`python -m tests.support.guardian RUN`: end what a run of the tests has started once the run's process has ended."""

import os
import select
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from ops.dev.stack.home import State
from ops.dev.stack.processes import Identity, identify, processes_in, wait_until

#: How often processes are listed and killed: one that is killed may have started another one since the list was made.
_LISTS = 20


def begin(run: Path) -> None:
    """Keep in the run's folder whose run it is: this process's."""
    itself = identify(os.getpid())
    assert itself
    fresh = run / "process.new"
    fresh.write_text(f"{itself.pid} {itself.started}", encoding="ascii")
    fresh.replace(run / "process")  # Another run that begins now reads it whole or not at all.


def owner(run: Path) -> Identity | None:
    """Return the process whose run it is; None once it has ended."""
    with suppress(FileNotFoundError):
        pid, started = map(int, (run / "process").read_text(encoding="ascii").split())
        identity = Identity(pid, started)
        return identity if identity.is_alive() else None
    return None


def watch_copy(run: Path, copy: Path) -> None:
    """Keep in the run's folder that a test has made a copy of the checkout: a stack of its own may run in it."""
    copies = run / "copies"
    copies.mkdir(exist_ok=True)
    (copies / uuid.uuid4().hex).symlink_to(copy)


def end_run(run: Path) -> None:
    """Kill the processes that tests have left, then the run's servers and second stacks, and delete their folders."""
    _kill(lambda: _processes_of(run))
    for copy in run.glob("copies/*"):
        _end_stack(copy.readlink())
    for state in run.glob("*/state.json"):
        if not state.parent.is_symlink():  # The set that KEEP=1 keeps.
            end_servers(state.parent)
    _kill(lambda: processes_in(run))
    _delete(run)


def end_servers(folder: Path) -> None:
    """Kill the servers of a set and delete their data."""
    pids = [Identity(*kept) for kept in State(folder).read().get("pids", {}).values()]
    for identity in pids:
        identity.signal(signal.SIGKILL, group=True)
    for identity in pids:
        identity.wait_gone(10)
    _kill(lambda: processes_in(folder))  # A start that was killed had not kept the pid yet.
    _delete(folder)


def _end_stack(checkout: Path) -> None:
    """End the stack of a copy of the checkout; pytest deletes the copy itself with its other folders."""
    _kill(lambda: processes_in(checkout))
    link = checkout / ".stack"
    if link.is_symlink():
        end_servers(link.readlink())


def _kill(find: Callable[[], Iterable[Identity]]) -> None:
    """Kill all processes that are found, until none is."""
    for _ in range(_LISTS):
        found = list(find())
        if not found:
            return
        for process in found:
            process.signal(signal.SIGKILL)
        for process in found:
            process.wait_gone(10)


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
    run = Path(sys.argv[1])
    while process := owner(run):
        with suppress(ProcessLookupError):
            select.select([os.pidfd_open(process.pid)], [], [])
    if run.exists():  # A run that has ended by itself has cleaned up.
        end_run(run)


if __name__ == "__main__":
    main()
