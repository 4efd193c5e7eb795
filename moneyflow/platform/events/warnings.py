"""Warnings to operators as events of this process; equal ones are counted (`reports.py`)."""

from collections.abc import Mapping

from moneyflow.platform.database import Session
from moneyflow.platform.events import reports
from moneyflow.platform.events.reports import Report
from moneyflow.platform.events.system import SystemWarning

Details = Mapping[str, str | int | float | bool | None]

_OTHER = {
    "code": reports.OTHER,
    "message": f"More than {reports.MOST_KINDS} different warnings in a few minutes: the log of the process has them.",
    "details": {},
}


def warning(*, code: str, message: str, subject: str, details: Details) -> Report:
    """Return a `system.warning` as a report.

    `code` is for alerts, and with `subject`, that which the warning is about, it says which warnings are equal;
    `message` is the condition and what to do.
    """
    data = {"code": code, "message": message, "details": dict(details)}
    return Report(type=SystemWarning.type, fingerprint=f"{code}:{subject}", data=data, other=_OTHER)


def warn(session: Session, *, code: str, message: str, subject: str, details: Details) -> None:
    """Report a `system.warning` in the session's transaction: an event if it is the first of its kind, else counted."""
    reports.write(session, [warning(code=code, message=message, subject=subject, details=details)])
