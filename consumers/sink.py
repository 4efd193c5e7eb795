"""Sink: the contract of a destination of events, and the registry of all sinks.

To add one: `consumers/sinks/<name>.py`, a migration with its schema (its tables and `positions`), its role in
`ops/docker/postgres/roles`, and a test that inherits `tests.support.sink_conformance.SinkConformance`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

from moneyflow.platform.database import Session
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.envelope import Envelope


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record of Kafka. `topic` is its name in the contract, without the prefix that it has on this cluster."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    #: When Kafka got the record, in seconds since 1970; None when that is unknown.
    written_at: float | None = None

    @cached_property
    def envelope(self) -> Envelope:
        """The event's envelope, read once; raises PoisonError when the record is no event."""
        return envelope.read(self.value)

    def emitted_at(self) -> datetime | None:
        """Return when the event was emitted; None when the record is no event."""
        try:
            return self.envelope.time
        except PoisonError:
            return None

    def event_id(self) -> str | None:
        """Return the event's id, for the log; None when the record is no event."""
        try:
            return self.envelope.id
        except PoisonError:
            return None


class Sink(Protocol):
    """Writes batches of records; one file in `consumers/sinks/` each."""

    #: The sink's name in commands, metrics, logs and in its Kafka group.
    name: str
    #: The Postgres role that writes for it; `POSTGRES_<ROLE>_USER` and `POSTGRES_<ROLE>_PASSWORD` are its login.
    role: str
    #: The Postgres schema of its tables, `positions` among them.
    schema: str
    topics: Sequence[str]

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Write records of one partition, in order, and return how many of them were new.

        The runtime commits the session together with the sink's new position. A redelivered record must change nothing.

        Raises:
            PoisonError: a record is itself bad. The runtime writes the records again one by one, and the bad one goes
                to `events.dead_letter`.
        """
        ...


#: The constructor of each sink by its name; filled when `consumers.sinks` is imported.
registry: dict[str, Callable[[], Sink]] = {}


def sink(name: str) -> Callable[[Callable[[], Sink]], Callable[[], Sink]]:
    """Register a sink: `@sink("audit")` on its class.

    Raises:
        TypeError: another sink has this name.
    """

    def register(make: Callable[[], Sink]) -> Callable[[], Sink]:
        if name in registry:
            raise TypeError(f"sink {name} is registered already: {registry[name]!r}; choose another name")
        registry[name] = make
        return make

    return register
