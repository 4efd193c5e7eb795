"""Reports of a process about itself, deduplicated in Postgres: a storm of equal ones is two events, one with a count.

The first report of a kind is an event at once. Those that follow are counted, for all processes of the same name
together, and at the end of each period they are one event with their count. A period without a report ends the storm:
the next report is a first one again.

Any process may write them, with the role that it has: two functions of Postgres do it, and nothing else of the outbox
is open to that role.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from moneyflow.platform.database import Session
from moneyflow.platform.events.contract import Event
from moneyflow.platform.events.emit import announce, outbox_row
from moneyflow.platform.events.system import HealthCheck, SystemWarning, UnhandledError
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry import origin

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_CONTRACTS: dict[str, type[Event]] = {one.type: one for one in (HealthCheck, UnhandledError, SystemWarning)}

#: Seconds for which equal reports are counted before they are one event.
PERIOD_SECONDS = 600.0
#: Kinds of reports of one type that a process has at a time; all others are one kind, `OTHER`.
MOST_KINDS = 100
OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a process reports, `count` times.

    Reports of one fingerprint are of one kind; without a fingerprint each is an event of its own. `data` are the fields
    of the event of that type, without process, count and time; `other` takes its place when there are too many kinds.
    """

    type: str
    fingerprint: str | None
    data: dict[str, Any]
    other: dict[str, Any] | None = None
    count: int = 1

    def as_other(self) -> "Report":
        """Return the report as one of too many kinds."""
        return replace(self, fingerprint=OTHER, data=self.other or self.data)


def write(
    session: Session,
    reports: Sequence[Report],
    *,
    period_seconds: float = PERIOD_SECONDS,
    most: int = MOST_KINDS,
) -> int:
    """Count reports in the session's transaction, emit those that are due, and return how many were."""
    parameters = {
        "process": origin.process(),
        "reports": orjson.dumps([_row(report) for report in reports]).decode(),
        "period_seconds": period_seconds,
        "most": most,
    }
    events = [_event(row) for row in session.fetch_all(_QUERIES["due_system_events"], parameters)]
    rows = [outbox_row(event) for event in events if event is not None]
    for row in rows:
        session.execute(_QUERIES["emit_system_event"], row.parameters())
    if rows:
        announce(session, rows)
        session.after_commit(partial(_log, [event for event in events if event is not None]))
    return len(rows)


def _log(events: Sequence[Event]) -> None:
    """Log what was sent: an operator without Kafka sees it too."""
    for event in events:
        if isinstance(event, SystemWarning):
            log.warning(event.code, message=event.message, count=event.count, **event.details)
        elif isinstance(event, UnhandledError):
            log.warning("error_reported", **event.payload())


def _row(report: Report) -> dict[str, Any]:
    return {
        "type": report.type,
        "fingerprint": report.fingerprint,
        "data": report.data,
        "other": report.as_other().data,
        "count": report.count,
    }


def _event(row: dict[str, Any]) -> Event | None:
    """Return the event of a due row; None for one that another version of this process has counted, and this cannot."""
    fields: dict[str, Any] = {"sequence": row["sequence"], "process": origin.process(), **row["data"]}
    try:
        contract = _CONTRACTS[row["type"]]
        counted = {"count": row["count"], "since": row["since"]} if "count" in contract.model_fields else {}
        return contract(**fields, **counted)
    except (ValidationError, KeyError) as error:
        log.warning("report_unreadable", type=row["type"], error=type(error).__name__, count=row["count"])
        return None
