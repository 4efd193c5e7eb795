"""Dead letters of events: the records that a sink could not write, kept in the transaction of its position.

A sink keeps bad records here and takes those that are due; both run in its consumer's own session. Operators make dead
letters due, discard and restore them: `attempts`, with each id, is how often the sink had failed on it when the
operator looked, so that nothing happens to one that has failed again since.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import DictRow

from moneyflow.platform.bounds import storable
from moneyflow.platform.database import Session
from moneyflow.platform.errors import UnreadableError
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry.error_groups import error_group

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Characters of an error's text; the traceback is in the log.
MESSAGE_LIMIT = 1024
#: Characters of an attribute of the envelope.
_ATTRIBUTE_LIMIT = 255
#: Columns, and the attributes of the envelope that they show.
_ATTRIBUTES = {"event_id": "id", "event_type": "type", "subject": "subject", "correlation_id": "correlationid"}


def keep(
    session: Session, *, sink: str, topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None,
    error: Exception | None,
) -> None:  # fmt: skip
    """Keep a record that the sink could not write; without an error it waits behind another one of its key.

    Raises:
        UnreadableError: the dead letter of another record has this place: Kafka was wiped since.
    """
    parameters = {
        "id": new_id(),
        "sink": sink,
        "topic": topic,
        "partition": partition,
        "kafka_offset": offset,
        "key": key,
        "value": value,
        "state": "waiting" if error is None else "dead",
        "attempts": 0 if error is None else 1,
        **_error(error),
        **_attributes(value),
    }
    if session.count_rows(_QUERIES["keep"], parameters):
        return
    row = session.fetch_one(_QUERIES["is_kept"], parameters)
    if row is not None and not row["is_kept"]:
        raise UnreadableError(
            f"offset {offset} has the dead letter of another record, from before Kafka was wiped: delete that row of "
            "event_dead_letters as the owner, and this record is kept in its place"
        )


def held_keys(
    session: Session, *, sink: str, topic: str, partition: int, keys: Collection[bytes]
) -> Mapping[bytes, int]:
    """Return those of the keys that an open dead letter holds, each with the first offset that waits."""
    place = {"sink": sink, "topic": topic, "partition": partition, "keys": list(keys)}
    return {row["key"]: row["from_offset"] for row in session.fetch_all(_QUERIES["held_keys"], place)}


def due(
    session: Session, *, sink: str, partitions: Collection[tuple[str, int]], strict: bool, limit: int
) -> list[DictRow]:
    """Return dead letters that are to be written now, of these topics and partitions, in the order of their offsets.

    With `strict` the records that wait come as well, each as soon as no earlier one of its key is open.
    """
    parameters = {
        "sink": sink,
        "topics": [topic for topic, _ in partitions],
        "partitions": [partition for _, partition in partitions],
        "limit": limit,
    }
    return session.fetch_all(_QUERIES["due_in_strict_order" if strict else "due"], parameters)


def lock(session: Session, dead_letter: UUID) -> bool:
    """Lock a dead letter until the transaction ends; return whether it is still to be written."""
    return session.fetch_one(_QUERIES["lock"], {"id": dead_letter}) is not None


def mark_reprocessed(session: Session, dead_letter: UUID) -> None:
    """Note, in the transaction in which the sink wrote it, that it is written."""
    session.execute(_QUERIES["reprocessed"], {"id": dead_letter})


def mark_failed_again(session: Session, dead_letter: UUID, error: Exception) -> None:
    """Note that the sink failed on it again: it is dead until an operator acts."""
    session.execute(_QUERIES["failed_again"], {"id": dead_letter, **_error(error)})


def reschedule(session: Session, dead_letter: UUID, *, seconds: float) -> None:
    """Make a dead letter due again later."""
    session.execute(_QUERIES["reschedule"], {"id": dead_letter, "seconds": seconds})


def make_due(
    session: Session, attempts: Mapping[UUID, int], *, operation_id: UUID, due_from: datetime, gap_seconds: float = 0
) -> set[UUID]:
    """Make dead letters due, the first at `due_from` and each next one a gap later; return those that were dead."""
    pace = {"operation_id": operation_id, "due_from": due_from, "gap_seconds": gap_seconds}
    return _moved(session, "make_due", attempts, pace)


def discard(session: Session, attempts: Mapping[UUID, int]) -> set[UUID]:
    """Discard dead letters, so that records behind them are written; return those that were dead."""
    return _moved(session, "discard", attempts, {})


def restore(session: Session, attempts: Mapping[UUID, int]) -> set[UUID]:
    """Make discarded dead letters dead again; return those that were discarded."""
    return _moved(session, "restore", attempts, {})


def _moved(session: Session, query: str, attempts: Mapping[UUID, int], more: Mapping[str, Any]) -> set[UUID]:
    parameters = {"ids": list(attempts), "attempts": list(attempts.values()), **more}
    return {row["id"] for row in session.fetch_all(_QUERIES[query], parameters)}


def _error(error: Exception | None) -> dict[str, str | None]:
    if error is None:
        return {"error_class": None, "error_message": None, "error_group": None}
    message = storable(str(error)[:MESSAGE_LIMIT])
    return {"error_class": type(error).__name__, "error_message": message, "error_group": error_group(message)}


def _attributes(value: bytes | None) -> dict[str, str | None]:
    """Return what a bad envelope still says of itself."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        found = None
    envelope = found if isinstance(found, dict) else {}
    return {column: _text(envelope.get(name)) for column, name in _ATTRIBUTES.items()}


def _text(attribute: object) -> str | None:
    return storable(attribute[:_ATTRIBUTE_LIMIT]) if isinstance(attribute, str) and attribute else None
