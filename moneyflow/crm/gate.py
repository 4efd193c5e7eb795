"""The gate before the CRM, one row that all senders share: the rate of requests, and the circuit breaker.

Each failure closes the gate, for longer each time, or for as long as the CRM asks by `Retry-After`. When that is over,
one sender probes with one person; a success opens the gate for all.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from moneyflow.gateways.crm import CrmDownError
from moneyflow.platform.database import Session
from moneyflow.platform.events.warnings import warn
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Seconds for which the first failure closes the gate, doubled with each next one up to the last.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
#: Failures in a row of which operators are warned.
WARNED_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The gate as it is: closed for `seconds`; with `failures` only a probe may pass."""

    failures: int
    seconds: float
    failing_since: datetime | None
    reason: str | None


def look(session: Session) -> Gate:
    """Return the gate."""
    row = session.fetch_one(_QUERIES["look"])
    assert row is not None, "the migration has made it"
    return Gate(**row)


def probe(session: Session, *, lease_seconds: float) -> bool:
    """Take the probe; return False when another sender has it."""
    return session.fetch_one(_QUERIES["probe"], {"lease": timedelta(seconds=lease_seconds)}) is not None


def reserve(session: Session, *, requests_per_second: float) -> float:
    """Reserve the next request and return the seconds to wait for it."""
    row = session.fetch_one(_QUERIES["reserve"], {"gap": timedelta(seconds=1 / requests_per_second)})
    assert row is not None, "as above"
    return max(0.0, float(row["seconds"]))


def fail(
    session: Session, error: CrmDownError, *, first_seconds: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS
) -> None:
    """Close the gate after a failure; operators are warned of one that lasts."""
    parameters = {
        "reason": error.detail, "retry_after": error.retry_after_seconds, "first": first_seconds, "longest": longest,
    }  # fmt: skip
    row = session.fetch_one(_QUERIES["fail"], parameters)
    assert row is not None, "as above"
    log.warning("crm_unavailable", reason=error.detail, failures=row["failures"], next_attempt_in=row["seconds"])
    if row["failures"] == WARNED_FAILURES:
        message = f"{error.detail}. People wait, and nothing is lost; see what the CRM and its settings need"
        warn(session, code="crm_down", message=message, subject="crm", details={"failures": row["failures"]})


def open_again(session: Session) -> None:
    """Open the gate after a success, if it was closed."""
    row = session.fetch_one(_QUERIES["open"])
    if row is not None:
        log.info("crm_available", failures=row["failures"], failed_since=row["failing_since"])
        if row["failures"] >= WARNED_FAILURES:
            details = {"failures": row["failures"], "since": row["failing_since"].isoformat()}
            message = "the CRM answers again; those who waited are sent"
            warn(session, code="crm_up", message=message, subject="crm", details=details)
