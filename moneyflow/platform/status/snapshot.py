"""Snapshot: what the status service has found, each part None where the server that knows it did not answer."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server: where it is, and its problem, None when it answers."""

    name: str
    where: str
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class RunningJob:
    """A job that a worker's thread runs, since when by Postgres's clock, and for how many seconds."""

    id: str
    kind: str
    attempt: int
    since: datetime
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A worker that has registered: alive while it holds its lock and its heartbeat is fresh."""

    name: str
    is_alive: bool
    started_at: datetime
    heartbeat_at: datetime
    #: Seconds since the heartbeat.
    silent_seconds: float
    #: None for a worker of a version that did not record them.
    threads: int | None
    running: tuple[RunningJob, ...]


@dataclass(frozen=True, kw_only=True)
class Relay:
    """A relay; one of them leads."""

    name: str
    is_leader: bool


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A paused kind, by an operator or by `breaker`, which probes at `probe_at`."""

    kind: str
    by: str
    reason: str | None
    seconds: float
    probe_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Parked:
    """Jobs of a kind that no worker can read, for one reason."""

    kind: str
    reason: str
    jobs: int


@dataclass(frozen=True, kw_only=True)
class Oldest:
    """The seconds for which the oldest job of a kind and priority has been due."""

    kind: str
    priority: int
    seconds: float
    is_paused: bool


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A declared schedule, and the seconds for which its next tick is late, below 0 until it is due."""

    name: str
    next_tick_at: datetime
    late_seconds: float
    paused_by: str | None
    #: What its last job has found that an operator has to know: the text `alarm` of its result.
    alarm: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """Rows that the relay has to publish, and the age of the oldest in seconds."""

    kind: str
    rows: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Why a partition of a sink is stopped."""

    sink: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What Postgres knows of jobs and processes."""

    #: The number of jobs by state, as shown; failed ones among them.
    states: dict[str, int]
    oldest: tuple[Oldest, ...]
    pauses: tuple[Pause, ...]
    parked: tuple[Parked, ...]
    schedules: tuple[Schedule, ...]
    outbox: tuple[Outbox, ...]
    workers: tuple[Worker, ...]
    relays: tuple[Relay, ...]
    #: The processes of the API by their names.
    apis: tuple[str, ...]
    #: Failed jobs whose dead letters are not published yet.
    dead_letters_waiting: int
    #: By sink, events that it could not write and no operator has decided about.
    dead_events: dict[str, int] = field(default_factory=dict)
    #: Partitions that wait until an operator acknowledges their gaps.
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Queues:
    """Messages that are ready in RabbitMQ's queues."""

    jobs: int
    jobs_failed: int


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """A sink's consumers: members of its Kafka group, and the records that it does not have."""

    sink: str
    members: int
    lag: int


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything at one moment."""

    servers: tuple[Server, ...]
    jobs: Jobs | None
    queues: Queues | None
    consumers: tuple[Consumer, ...] | None
    conditions: tuple[Any, ...] = ()

    @property
    def refused(self) -> int | None:
        """Return the messages on `jobs_failed` that no failed job explains; None when that is unknown."""
        if self.jobs is None or self.queues is None:
            return None
        explained = self.jobs.states.get("failed", 0) - self.jobs.dead_letters_waiting
        return max(0, self.queues.jobs_failed - explained)
