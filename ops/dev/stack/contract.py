"""What every kind of stack shares: how it fails, and what it tells about the application's processes."""

from dataclasses import dataclass


class StackError(Exception):
    """The stack could not be started, stopped or changed; the text says why and what to do."""


@dataclass(frozen=True)
class Status:
    """How one server or process of the stack is."""

    name: str
    #: Its pid and port, or its container.
    where: str
    #: What is wrong with it; None when it is ready.
    problem: str | None


@dataclass(frozen=True)
class ProcessInfo:
    """One of the application's own processes: api, worker, relay or a consumer."""

    name: str
    #: As this machine counts pids; None where a container's pids cannot be seen.
    pid: int | None
    #: Of the largest process under that name, in MiB.
    resident_mib: float
