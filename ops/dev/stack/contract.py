"""Contract of every kind of stack: its error, and the values that describe its servers and processes."""

from dataclasses import dataclass

#: What `make status` says of a server or process without a running process.
NOT_RUNNING = "does not run; start it with `make up`"


class StackError(Exception):
    """A stack could not be started, stopped or changed; the text says why and what to do."""


@dataclass(frozen=True)
class Status:
    """Status of one server or process of the stack."""

    name: str
    #: Its pid and port, or its container.
    where: str
    #: What is wrong with it; None when it is ready.
    problem: str | None


@dataclass(frozen=True)
class ProcessInfo:
    """A process of the application: api, worker, relay or a consumer."""

    name: str
    #: On this machine; None for a container whose pids are not visible.
    pid: int | None
    #: Of the largest process under that name, in MiB.
    resident_mib: float
