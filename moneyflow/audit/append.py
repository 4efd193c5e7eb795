"""Append: adds events to the end of their hash chain, each event once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moneyflow.audit.hashes import GENESIS, hash_of_event
from moneyflow.platform.database import Session
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
#: Of the columns of `copy`.
_TYPES = ("text", "int4", "int8", "int8", "text", "text", "text", "timestamptz", "text", "text", "bytea", "bytea",
          "bytea", "bytea")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An event as Kafka delivered it, with its envelope parsed."""

    offset: int
    key: bytes | None
    value: bytes
    envelope: Envelope


def append(session: Session, *, topic: str, partition: int, entries: Sequence[Entry]) -> int:
    """Append the events that the log does not have yet, in their order; return how many were new."""
    head = session.fetch_one(_QUERIES["lock_chain"], {"topic": topic, "partition": partition, "genesis": GENESIS})
    assert head is not None, "the statement returns the chain, new or old"
    new = _new(session, entries)
    if new:
        place = {"topic": topic, "partition": partition}
        end = _Head(height=head["height"], hash=bytes(head["head_hash"]))
        session.copy(_QUERIES["copy"], _TYPES, end.chain(topic, partition, new))
        session.execute(_QUERIES["move_head"], {**place, "height": end.height, "head_hash": end.hash})
    return len(new)


def _new(session: Session, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the events that the log does not have, each once."""
    missing = dict.fromkeys((entry.envelope.id for entry in entries), True)
    for row in session.fetch_all(_QUERIES["known"], {"ids": list(missing)}):
        del missing[row["id"]]
    return [entry for entry in entries if missing.pop(entry.envelope.id, False)]


@dataclass(kw_only=True)
class _Head:
    """The head of a chain in memory, which moves with each row that is made."""

    height: int
    hash: bytes

    def chain(self, topic: str, partition: int, entries: Iterable[Entry]) -> Iterator[tuple[Any, ...]]:
        """Yield the row of each event, in the order of the columns of `copy`."""
        for entry in entries:
            event, previous = entry.envelope, self.hash
            self.height += 1
            self.hash = hash_of_event(
                previous, place=(topic, partition, self.height, entry.offset), key=entry.key, value=entry.value
            )
            yield (
                topic, partition, self.height, entry.offset, event.id, event.type, event.subject, event.time,
                event.actor_id, event.correlation_id, entry.key, entry.value, previous, self.hash,
            )  # fmt: skip
