"""Sink: the contract of a destination of events, and the registry of all sinks.

`moneyflow new sink NAME` writes one, and consumers/README.md adds one from start to end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, get_args

from moneyflow.platform.database import Session
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.envelope import Envelope

#: Records, and seconds, of a batch: a transaction stays short, and the consumer shows that it is alive.
_MOST_RECORDS, _MOST_SECONDS = 10_000, 30
#: Batches that are written at one time, each on a connection of its own.
_MOST_TOGETHER = 8


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

    @property
    def envelope(self) -> Envelope:
        """The event's envelope, read once; raises PoisonError when the record is no event."""
        # PERF: the library's cached property of Python 3.11 has one lock for all records, and batches are written by
        # threads.
        found: Envelope | None = self.__dict__.get("_envelope")
        if found is None:
            found = self.__dict__["_envelope"] = envelope.read(self.value)
        return found

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


@dataclass(frozen=True, kw_only=True)
class Batch:
    """When a batch is written: at so many records, or so many seconds after its first record was read.

    With 0 seconds whatever was read is written at once; a sink whose writes are expensive waits for more. Batches of
    so many partitions are written `together`, each in a thread and a transaction of its own: Postgres works on one
    while the other is made. A sink that asks for it keeps no state of a batch in itself.
    """

    records: int = 500
    seconds: float = 0.0
    together: int = 1

    def __post_init__(self) -> None:
        is_bounded = 1 <= self.records <= _MOST_RECORDS and 0 <= self.seconds <= _MOST_SECONDS
        if not is_bounded or not 1 <= self.together <= _MOST_TOGETHER:
            raise ValueError(
                f"a batch has 1 to {_MOST_RECORDS} records, waits 0 to {_MOST_SECONDS} seconds, and 1 to"
                f" {_MOST_TOGETHER} are written together"
            )


#: What happens to the later records of a key after one that the sink cannot write: `per_key` writes them, and
#: `strict` lets them wait until the bad one is reprocessed or discarded.
Order = Literal["per_key", "strict"]


class Sink(Protocol):
    """Writes batches of records; one file in `consumers/sinks/` each.

    A sink may also have `batch`, a `Batch`, and `order`, an `Order`; without them both are as the defaults below. With
    a method `caught_up(session, partitions, seconds_ago)` it gets to know about once a second of which partitions, by
    topic and number, it has written all that Kafka had that many seconds ago.
    """

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
            PoisonError: a record is itself bad. The runtime halves the batch until the bad one is alone, and
                dead-letters it.
            UnavailableError: something outside is down. The runtime waits and writes the same records again.
        """
        ...


def batch_of(sink: Sink) -> Batch:
    """Return when the sink's batches are written."""
    batch = getattr(sink, "batch", Batch())
    assert isinstance(batch, Batch), f"{sink.name}: `batch` is a consumers.sink.Batch"
    return batch


def is_strict(sink: Sink) -> bool:
    """Return whether records wait behind a dead letter of their key."""
    order = getattr(sink, "order", "per_key")
    assert order in get_args(Order), f"{sink.name}: `order` is one of {', '.join(get_args(Order))}"
    return bool(order == "strict")


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
