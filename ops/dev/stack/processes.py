"""Processes, identified by pid and start time, so that another process with a reused pid is never signalled."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SET_PARENT_DEATH_SIGNAL = 1
_START_TIME_FIELD = 19  # Of /proc/PID/stat, counted after the name; see proc(5).


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
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                inside = (entry / "cwd").readlink().is_relative_to(folder)
            except OSError:
                continue
            identity = identify(int(entry.name)) if inside else None
            if identity:
                found.append(identity)
    return found


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    folder: Path,
    user: str | None = None,
    dies_with_parent: bool = False,
) -> Identity:
    """Start a process in a session of its own with its output in `log`.

    With `dies_with_parent` the kernel kills it when the thread that started it ends, even by SIGKILL.
    """
    with log.open("ab") as output:
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
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[_START_TIME_FIELD])
