"""Warnings to operators as events of this process."""

from collections.abc import Mapping
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.events.emit import emit, next_sequence
from moneyflow.platform.events.system import SystemWarning
from moneyflow.platform.telemetry import origin

Details = Mapping[str, str | int | float | bool | None]


def warn(session: Session, *, code: str, message: str, details: Details) -> UUID:
    """Emit a `system.warning` in the session's transaction and return its id.

    `code` is for alerts; `message` is the condition and what to do.
    """
    process = origin.process()
    sequence = next_sequence(session, process)
    event = SystemWarning(sequence=sequence, process=process, code=code, message=message, details=dict(details))
    return emit(session, event)
