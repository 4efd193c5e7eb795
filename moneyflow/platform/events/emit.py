"""Emit an event: a row of the outbox in the caller's transaction, in the order of its aggregate's changes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import structlog

from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.events.contract import Event
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import array, load_queries
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import in_lines

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
#: SQL of statements that make a change together with its event.
FRAGMENTS = Path(__file__).with_name("fragments.sql")


def emit(session: Session, event: Event, *, actor_id: UUID | None = None) -> UUID:
    """Insert the event in the session's transaction and return its id.

    Change the aggregate, which locks its row, before you emit: then its events are inserted in the order in which the
    transactions that changed it commit, and the relay keeps it. `actor_id` is the person who acts, where the request
    has no session and the use case knows the person.
    """
    row = outbox_row(event, actor_id=actor_id)
    session.execute(_QUERIES["emit"], row.parameters())
    announce(session, [row])
    return row.id


def emit_many(session: Session, events: Sequence[Event]) -> None:
    """Insert events in their order, in one statement, as `emit` does."""
    rows = [outbox_row(event) for event in events]
    if not rows:
        return
    columns = zip(*((row.id, row.topic, row.key, row.value) for row in rows), strict=True)
    ids, *others = map(list, columns)
    parameters = dict(zip(("topics", "keys", "values"), others, strict=True))
    session.execute(_QUERIES["emit_many"], {**parameters, "ids": array(ids)})
    announce(session, rows)


def emit_with(session: Session, query: LiteralString, parameters: Mapping[str, Any], event: Event) -> bool:
    """Run a statement that changes a row and has the fragment `emit_event`; return whether it found the row."""
    row = outbox_row(event)
    if session.fetch_one(query, {**parameters, **row.parameters()}) is None:
        return False
    announce(session, [row])
    return True


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """An event as a row of the outbox."""

    id: UUID
    topic: str
    key: str
    value: bytes
    type: str

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a statement that inserts it, such as one that makes the change that it is about."""
        return {"event_id": self.id, "event_topic": self.topic, "event_key": self.key, "event_value": self.value}


def outbox_row(event: Event, *, actor_id: UUID | None = None) -> OutboxRow:
    """Return the row of an event; who inserts it by a statement of its own calls `announce` then."""
    event_id = new_id()
    asked_by = origin.current()
    if actor_id is not None:
        asked_by = replace(asked_by, actor_id=str(actor_id))
    value = event.envelope(event_id=event_id, source=origin.source(), origin=asked_by, time=clock.now())
    return OutboxRow(id=event_id, topic=event.topic, key=event.key(), value=value, type=event.type)


def announce(session: Session, rows: Sequence[OutboxRow]) -> None:
    """Log the rows that the session has inserted, and wake the relay, after the commit."""
    session.after_commit(partial(_report, rows))
    session.notify_after_commit("events")


def _report(rows: Sequence[OutboxRow]) -> None:
    if len(rows) == 1:
        log.debug("event_emitted", event_id=str(rows[0].id), event_type=rows[0].type)
        return
    for part in in_lines([row.id for row in rows]):
        log.debug("events_emitted", events=dict(Counter(row.type for row in rows)), count=len(rows), event_ids=part)


def next_sequence(session: Session, key: str) -> int:
    """Return the next sequence of an aggregate that has no row of its own, such as a process; begins at 1."""
    row = session.fetch_one(_QUERIES["next_sequence"], {"key": key})
    assert row is not None
    sequence: int = row["sequence"]
    return sequence
