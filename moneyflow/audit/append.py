"""Append: adds events to the end of their hash chain, each event once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moneyflow.audit.hashes import GENESIS, hash_of_row
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

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
    ids = [entry.envelope.id for entry in entries]
    known = session.fetch_all(_QUERIES["known"], {"ids": ids, "since": _recorded_since(entries)})
    seen = {row["id"] for row in known}
    rows: list[dict[str, Any]] = []
    height, previous = head["height"], bytes(head["head_hash"])
    for entry in entries:
        if entry.envelope.id in seen:
            continue
        seen.add(entry.envelope.id)
        height += 1
        row = _row(topic, partition, height, entry, previous)
        rows.append(row)
        previous = row["hash"]
    if rows:
        session.execute_many(_QUERIES["insert"], rows)
        place = {"topic": topic, "partition": partition, "height": height, "head_hash": previous}
        session.execute(_QUERIES["move_head"], place)
    return len(rows)


def _recorded_since(entries: Sequence[Entry]) -> datetime:
    """Return the moment before which none of the events can have been recorded.

    An event is recorded after its own time. So only the months since then are searched for its id, not the whole log.
    """
    times = [entry.envelope.time for entry in entries]
    if max(times) > clock.now() + _SKEW:
        return _EVER  # A time that is still to come says nothing.
    return max(min(times) - _SKEW, _EVER)


def _row(topic: str, partition: int, position: int, entry: Entry, previous: bytes) -> dict[str, Any]:
    fields = {
        "topic": topic,
        "partition": partition,
        "position": position,
        "kafka_offset": entry.offset,
        "id": entry.envelope.id,
        "type": entry.envelope.type,
        "subject": entry.envelope.subject,
        "time": entry.envelope.time,
        "actor_id": entry.envelope.actor_id,
        "correlation_id": entry.envelope.correlation_id,
        "key": entry.key,
        "value": entry.value,
        "previous_hash": previous,
    }
    return fields | {"hash": hash_of_row(fields)}
