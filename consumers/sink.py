"""What a sink is: where events end up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from moneyflow.platform.database import Session
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope


@dataclass(frozen=True, kw_only=True)
class Record:
    """A record of Kafka. `topic` is the contract's name of it, whatever prefix it has on this cluster."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None

    def event_id(self) -> str | None:
        """Return the event's id, for the log; None when the record is no event."""
        try:
            return envelope.read(self.value).id
        except PoisonError:
            return None


class Sink(Protocol):
    """Takes batches of records; one file in `consumers/sinks/` each."""

    #: The sink's name: in commands, metrics, logs, and of its Kafka group.
    name: str
    #: The Postgres role that writes for it, and the schema with its tables, `positions` among them.
    role: Literal["audit"]
    schema: str
    topics: Sequence[str]

    def write(self, session: Session, records: Sequence[Record]) -> int:
        """Write records of one partition, in order, and return how many of them were new.

        The session commits after it, together with the sink's new position. A record that comes again must change
        nothing.

        Raises:
            PoisonError: a record is itself bad. The runtime then gives the records one by one, and the bad one goes
                to `events.dead_letter`.
        """
        ...


#: How to make the sink of each name; filled when `consumers.sinks` is imported.
registry: dict[str, Callable[[], Sink]] = {}


def sink(name: str) -> Callable[[Callable[[], Sink]], Callable[[], Sink]]:
    """Declare a sink: `@sink("audit")` on its class."""

    def declare(make: Callable[[], Sink]) -> Callable[[], Sink]:
        if name in registry:
            raise TypeError(f"there is a sink {name} already: {registry[name]!r}")
        registry[name] = make
        return make

    return declare
