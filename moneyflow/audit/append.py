"""Append: adds events to the end of their hash chain, each event once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moneyflow.audit.hashes import GENESIS, hash_of_row
from moneyflow.platform.database import Session
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


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
    known = session.fetch_all(_QUERIES["known"], {"ids": [entry.envelope.id for entry in entries]})
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
