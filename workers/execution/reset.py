"""Reset: what an attempt changed in its thread and its process is put back when it ends, so the next starts clean."""

import contextvars
import copy
import decimal
import gc
import locale
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from gc import isenabled
from locale import LC_ALL, setlocale
from signal import ITIMER_REAL, SIG_BLOCK, getitimer, pthread_sigmask
from socket import getdefaulttimeout
from sys import getrecursionlimit, getswitchinterval
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: The decimal context of every attempt: Python's own, as it was when this process started.
_DECIMAL = decimal.DefaultContext.copy()


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - PERF: a Path takes several times as long
    except FileNotFoundError:  # It was deleted.
        return ""


class _FolderWatch:
    """Whether any code of this process has ever changed the working folder.

    PERF: `os.getcwd` gives the interpreter lock away, and a thread may wait five milliseconds to have it back. So the
    folder is asked for only where this is true, and from then on after every attempt.
    """

    def __init__(self) -> None:
        self.has_changed = False
        sys.addaudithook(self._see)

    def _see(self, event: str, _: tuple[Any, ...]) -> None:
        if event == "os.chdir":
            self.has_changed = True


_START_FOLDER = _folder()
_folder_watch = _FolderWatch()


def _state() -> tuple[Any, ...]:
    """Return what handlers change and attempts share, in the order of `_WRITERS`.

    PERF: it is read after every attempt, in two microseconds, and nothing in it gives the interpreter lock away.
    """
    return (
        os.environ._data,  # type: ignore[attr-defined] # noqa: SLF001 - as a mapping it takes thirty times as long
        time.tzname,
        setlocale(LC_ALL),
        _folder() if _folder_watch.has_changed else _START_FOLDER,
        warnings.filters,
        getrecursionlimit(),
        getswitchinterval(),
        isenabled(),
        getdefaulttimeout(),
        sys.stdout,
        sys.stderr,
        pthread_sigmask(SIG_BLOCK, ()),
        getitimer(ITIMER_REAL)[0] > 0,
    )


def _restore_environment(wanted: dict[bytes, bytes]) -> None:
    for name in os.environb.keys() - wanted.keys():
        os.environb.pop(name, None)
    os.environb.update({name: value for name, value in wanted.items() if os.environb.get(name) != value})


def _restore_filters(wanted: list[Any]) -> None:
    warnings.resetwarnings()  # It also has every module ask for the filters again.
    warnings.filters.extend(wanted)  # type: ignore[attr-defined]


def _restore_alarm(_: bool) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)


#: What writes each of `_state`, by name; the time zone is written after the variable that names it.
_WRITERS: dict[str, Callable[[Any], object]] = {
    "environment": _restore_environment,
    "time_zone": lambda _: time.tzset(),
    "locale": lambda wanted: locale.setlocale(locale.LC_ALL, wanted),
    "folder": os.chdir,
    "warning_filters": _restore_filters,
    "recursion_limit": sys.setrecursionlimit,
    "switch_interval": sys.setswitchinterval,
    "is_collecting": lambda wanted: gc.enable() if wanted else gc.disable(),
    "socket_timeout": socket.setdefaulttimeout,
    "stdout": lambda wanted: setattr(sys, "stdout", wanted),
    "stderr": lambda wanted: setattr(sys, "stderr", wanted),
    "signal_mask": lambda wanted: signal.pthread_sigmask(signal.SIG_SETMASK, wanted),
    "has_alarm": _restore_alarm,
}


class Baseline:
    """The state of this process before any attempt; every attempt runs in it, and leaves it.

    Context variables, the decimal context, the signal mask and the trace functions are a thread's own. The rest is
    shared by all threads: it is put back by the attempt that ends next, so a handler that changes it may be disturbed
    by its neighbours, and they by it.
    """

    def __init__(self) -> None:
        #: A copy: some are changed in place.
        self._state = tuple(copy.copy(one) if isinstance(one, dict | list | set) else one for one in _state())
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._reported: set[str] = set()

    def run(self, attempt: Callable[[], T]) -> T:
        """Run an attempt in a fresh context, and put back what it changed, however it ends."""
        trace, profile = sys.gettrace(), sys.getprofile()
        try:
            return contextvars.copy_context().run(_with_decimals, attempt)
        finally:
            if sys.gettrace() is not trace:
                sys.settrace(trace)
            if sys.getprofile() is not profile:
                sys.setprofile(profile)
            self._put_back()

    def _put_back(self) -> None:
        if os.umask(self._umask) != self._umask:
            self._report(["umask"])
        found = _state()
        if found == self._state:
            return
        changed = []
        for (name, write), now, before in zip(_WRITERS.items(), found, self._state, strict=True):
            if now != before:
                changed.append(name)
                with suppress(OSError, ValueError, locale.Error):
                    write(before)
        self._report(changed)

    def _report(self, changed: list[str]) -> None:
        """Log each name once: a handler that changes something changes it each time."""
        if new := [name for name in changed if name not in self._reported]:
            self._reported.update(new)
            log.warning("process_state_restored", changed=new, consequence="other jobs of this process may have met it")


def _with_decimals(attempt: Callable[[], T]) -> T:
    decimal.setcontext(_DECIMAL.copy())
    return attempt()
