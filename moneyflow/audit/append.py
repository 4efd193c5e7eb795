"""Append: adds events to the end of their hash chain, each event once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moneyflow.audit.hashes import GENESIS, row_hash_of
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
#: Of the columns of `copy`.
_TYPES = ("text", "int4", "int8", "int8", "text", "text", "text", "timestamptz", "text", "text", "bytea", "bytea",
          "bytea", "bytea")  # fmt: skip

#: How far the clocks of a process that emits and of Postgres may be apart.
_SKEW = timedelta(days=1)
_EVER = datetime(1970, 1, 1, tzinfo=UTC)


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
    # PERF: no id has a line break, and psycopg's own adapter of lists takes ten times as long.
    known = {"ids": "\n".join(missing), "since": _recorded_since(entries), "until": clock.now() + _SKEW}
    for row in session.fetch_all(_QUERIES["known"], known):
        del missing[row["id"]]
    return [entry for entry in entries if missing.pop(entry.envelope.id, False)]


def _recorded_since(entries: Sequence[Entry]) -> datetime:
    """Return the moment before which none of the events can have been recorded.

    An event is recorded after its own time. So only the months since then are searched for its id, not the whole log.
    """
    times = [entry.envelope.time for entry in entries]
    if max(times) > clock.now() + _SKEW:
        return _EVER  # A time that is still to come says nothing.
    return max(min(times) - _SKEW, _EVER)


@dataclass(kw_only=True)
class _Head:
    """The head of a chain in memory, which moves with each row that is made."""

    height: int
    hash: bytes

    def chain(self, topic: str, partition: int, entries: Iterable[Entry]) -> Iterator[tuple[Any, ...]]:
        """Yield the row of each event, in the order of the columns of `copy`."""
        row_hash = row_hash_of(topic, partition)
        for entry in entries:
            event, previous = entry.envelope, self.hash
            self.height += 1
            self.hash = row_hash(previous, self.height, entry.offset, entry.key, entry.value)
            yield (
                topic, partition, self.height, entry.offset, event.id, event.type, event.subject, event.time,
                event.actor_id, event.correlation_id, entry.key, entry.value, previous, self.hash,
            )  # fmt: skip
