"""Columns for searching: whether a row's still agree with its event."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope

#: What Postgres counts the time from, in microseconds.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

#: The id, type, subject, time as `timestamptz_send` gives it, actor's id and correlation id.
Columns = tuple[Any, ...]


class _Attributes(msgspec.Struct, gc=False):
    """The attributes of an event that have a column."""

    id: str
    type: str
    subject: str
    time: datetime
    actorid: str | None = None
    correlationid: str | None = None


_decode = msgspec.json.Decoder(_Attributes).decode


def agree(value: bytes, columns: Columns) -> bool:
    """Return whether the columns are those that the append made of the event.

    PERF: few fields are read first, in a tenth of the time. Only where they differ it is read as the append reads it.
    """
    try:
        event = _decode(value)
        is_same = columns == (
            event.id, event.type, event.subject, _sent(event.time), event.actorid, event.correlationid
        )  # fmt: skip
    except (msgspec.MsgspecError, TypeError, ValueError):
        is_same = False
    return is_same or _agree_when_read(value, columns)


def _agree_when_read(value: bytes, columns: Columns) -> bool:
    try:
        event = envelope.read(value)
    except PoisonError:
        return False
    return columns == (
        event.id, event.type, event.subject, _sent(event.time), event.actor_id, event.correlation_id
    )  # fmt: skip


def _sent(time: datetime) -> bytes:
    since = time - _EPOCH  # PERF: its parts are twice as fast as a division by a microsecond.
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds).to_bytes(8, "big", signed=True)
