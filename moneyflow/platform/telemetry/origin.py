"""Origin: the request that caused the current work; carried to every log line, job and event of it."""

import os
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random

import structlog

from moneyflow.platform.patterns import Pattern

#: PERF: ids of traces are no secrets, and to ask the system for each gives the interpreter lock away. Python's own
#: generator is not used, because others may seed it; a process that was forked has other numbers.
_random = Random()  # nosec B311  # noqa: S311 - see above
os.register_at_fork(after_in_child=_random.seed)

_TRACEPARENT = Pattern(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", longest=55)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A request's id, its W3C trace context and the user who acts; None where unknown.

    `is_anonymous` says that it is a request without a session; jobs and schedules that run are not.
    """

    correlation_id: str | None = None
    traceparent: str | None = None
    actor_id: str | None = None
    is_anonymous: bool = False


_UNKNOWN = Origin()
_NO_FIELDS: Mapping[str, object] = {}
_current: ContextVar[tuple[Origin, Mapping[str, object]]] = ContextVar("origin", default=(_UNKNOWN, _NO_FIELDS))


def current() -> Origin:
    """Return the origin of this thread's or task's current work."""
    return _current.get()[0]


class _Work:
    """The block of `working_for`. PERF: every job and request has one, and a generator takes three times as long."""

    __slots__ = ("_carried", "_token")

    def __init__(self, carried: tuple[Origin, Mapping[str, object]]) -> None:
        self._carried = carried

    def __enter__(self) -> None:
        self._token = _current.set(self._carried)

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def working_for(origin: Origin, **log_fields: object) -> AbstractContextManager[None]:
    """Carry `origin` through the block, and on its log lines, together with `log_fields`."""
    return _Work((origin, log_fields))


def add_to_line(_: object, __: str, line: structlog.types.EventDict) -> structlog.types.EventDict:
    """Add the origin to a log line. PERF: looked up only when a line is written, because most work writes none."""
    origin, fields = _current.get()
    if fields is not _NO_FIELDS:
        for name, value in {"correlation_id": origin.correlation_id, **fields}.items():
            line.setdefault(name, value)
    return line


def child_traceparent(parent: str | None) -> str:
    """Return a traceparent (W3C Trace Context) in the trace of `parent`, or in a new one when `parent` is not valid."""
    trace_id = parent[3:35] if parent and _TRACEPARENT.fullmatch(parent) else f"{_random.getrandbits(128) or 1:032x}"
    return f"00-{trace_id}-{_random.getrandbits(64) or 1:016x}-01"


_source = "/money-flow/unknown"


def source() -> str:
    """Return this process's name as the source of events, such as /money-flow/api."""
    return _source


def process() -> str:
    """Return this process's name, such as api."""
    return _source.rpartition("/")[2]


def process_name() -> str:
    """Return which process this is, as host:pid; operators see it under this name."""
    return f"{socket.gethostname()}:{os.getpid()}"


def set_process(process: str) -> None:
    """Set the name of this process, once at its start."""
    global _source  # noqa: PLW0603 - a process has one name, from start to end
    _source = f"/money-flow/{process}"
