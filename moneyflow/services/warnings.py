"""Warn operators by an event, in the name of this process."""

from collections.abc import Mapping
from uuid import UUID

from moneyflow import outbox
from moneyflow.database import Session
from moneyflow.events.system import SystemWarning
from moneyflow.telemetry import origin

Details = Mapping[str, str | int | float | bool | None]


def warn(session: Session, *, code: str, message: str, details: Details) -> UUID:
    """Emit a `system.warning` in the session's transaction and return its id.

    `code` is for alerts; `message` says what is and what to do.
    """
    process = origin.process()
    sequence = outbox.next_sequence(session, process)
    event = SystemWarning(sequence=sequence, process=process, code=code, message=message, details=dict(details))
    return outbox.emit(session, event)
