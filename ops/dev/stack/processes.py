"""Processes, identified by pid and start time, so that another process with a reused pid is never signalled."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SET_PARENT_DEATH_SIGNAL = 1
_START_TIME_FIELD, _SESSION_FIELD = 19, 3  # Of /proc/PID/stat, counted after the name; see proc(5).
#: What a stack's process writes is for its owner alone.
UMASK = 0o077


@dataclass(frozen=True)
class Identity:
    """Identity of a process: its pid and its start time, in clock ticks since boot."""

    pid: int
    started: int

    def is_alive(self) -> bool:
        """Return whether this process runs and is not a zombie."""
        return _start_time(self.pid) == self.started

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to it, or to its process group, unless it has ended."""
        if self.is_alive():
            try:
                (os.killpg if group else os.kill)(self.pid, number)
            except ProcessLookupError:
                return

    def wait_gone(self, seconds: float) -> bool:
        """Wait for its end; return False when it still runs after `seconds`."""
        deadline = time.monotonic() + seconds
        while self.is_alive():
            _reap(self.pid)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process."""
    started = _start_time(pid)
    return None if started is None else Identity(pid, started)


def processes_in(folder: Path) -> list[Identity]:
    """Return the processes whose working folder is `folder` or below it, as far as this user may see them."""

    def is_inside(entry: Path) -> bool:
        try:
            return (entry / "cwd").readlink().is_relative_to(folder)
        except OSError:
            return False

    return _processes(is_inside)


def left_by(ended: Identity) -> list[Identity]:
    """Return what a process that was spawned here and has ended has left in its session, such as gunicorn's workers."""
    if _start_time(ended.pid) is not None:
        return []  # It runs, or its pid is another process's, which the kernel allows once the session is empty.
    return _processes(lambda entry: _stat_field(int(entry.name), _SESSION_FIELD) == ended.pid)


def _processes(condition: Callable[[Path], bool]) -> list[Identity]:
    """Return the other processes whose folder in /proc fulfils the condition."""
    entries = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid())
    found = (identify(int(entry.name)) for entry in entries if condition(entry))
    return [identity for identity in found if identity]


def open_log(log: Path) -> BinaryIO:
    """Open a log for appending, readable by its owner alone."""
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    user: str | None = None,
    dies_with_parent: bool = False,
    sockets: Sequence[int] = (),
) -> Identity:
    """Start a process in a session of its own with its output in `log`; what it writes is for its owner alone.

    With `dies_with_parent` the kernel kills it when the thread that started it ends, even by SIGKILL. It inherits the
    file descriptors of `sockets`.
    """
    with open_log(log) as output:
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            umask=UMASK,
            pass_fds=sockets,
            preexec_fn=_die_with_parent if dies_with_parent else None,  # noqa: PLW1509 - one prctl, no locks
        )
    identity = identify(process.pid)
    if identity is None:
        raise ProcessLookupError(f"{command[0]} ended at once with {process.wait()}; see {log}")
    process.returncode = 0  # Its end is awaited by identity; without this, Popen warns that it still runs.
    return identity


def stop(identity: Identity, *, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> None:
    """Ask a process to stop, and kill its process group when it still runs after `seconds`."""
    identity.signal(signal.SIGCONT)
    identity.signal(number)
    if not identity.wait_gone(seconds):
        identity.signal(signal.SIGKILL, group=True)
        identity.wait_gone(10)


def last_lines(log: Path, count: int = 15) -> str:
    """Return the end of a log."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(f"    {line}" for line in lines[-count:])


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Wait until the condition is true; return False after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _start_time(pid: int) -> int | None:
    return _stat_field(pid, _START_TIME_FIELD)


def _stat_field(pid: int, field: int) -> int | None:
    """Return a number of /proc/PID/stat; None for a process that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[field])
