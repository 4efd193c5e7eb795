"""Emit an event: a row of the outbox in the caller's transaction, in the order of its aggregate's changes."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog

from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.events.contract import Event
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry import origin

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def emit(session: Session, event: Event, *, actor_id: UUID | None = None) -> UUID:
    """Insert the event in the session's transaction and return its id.

    Change the aggregate, which locks its row, before you emit: then rows of one key are inserted in the order in
    which their transactions commit, and the relay keeps it. `actor_id` is the person who acts, where the request has
    no session and the use case knows the person.
    """
    event_id = new_id()
    asked_by = origin.current()
    if actor_id is not None:
        asked_by = replace(asked_by, actor_id=str(actor_id))
    session.execute(
        _QUERIES["emit"],
        {
            "id": event_id,
            "topic": event.topic,
            "key": event.key(),
            "value": event.envelope(event_id=event_id, source=origin.source(), origin=asked_by, time=clock.now()),
        },
    )
    session.after_commit(partial(log.info, "event_emitted", event_id=str(event_id), event_type=event.type))
    session.notify_after_commit("events")
    return event_id


def next_sequence(session: Session, key: str) -> int:
    """Return the next sequence of an aggregate that has no row of its own, such as a process; begins at 1."""
    row = session.fetch_one(_QUERIES["next_sequence"], {"key": key})
    assert row is not None
    sequence: int = row["sequence"]
    return sequence
