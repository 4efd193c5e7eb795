"""End a try: succeeded, to be tried again, or failed for good. Only the holder of the fence can."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from moneyflow.database import Session, load_queries
from moneyflow.errors import FenceLostError
from moneyflow.ledger.claim import Claim

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a try failed; the texts are redacted and cut already."""

    error_class: str
    message: str
    traceback: str | None = None


@dataclass(frozen=True, kw_only=True)
class Success:
    """A try that did what it should; `result` is kept with the job."""

    claim: Claim
    result: dict[str, Any] | None = None


def succeed(session: Session, success: Success, *, worker: str) -> None:
    """Finish the job in the transaction of its effects.

    Raises:
        FenceLostError: when the job was taken over; the transaction must be rolled back.
    """
    _held(len(succeed_many(session, [success], worker=worker)), success.claim)


def succeed_many(session: Session, successes: Sequence[Success], *, worker: str) -> set[UUID]:
    """Finish jobs that touched no table together; return the ids of those that were not taken over."""
    claims = [success.claim for success in successes]
    parameters = {
        "ids": [claim.id for claim in claims],
        "fences": [claim.fence for claim in claims],
        "attempts": [claim.attempt for claim in claims],
        "results": [Jsonb(success.result) if success.result is not None else None for success in successes],
        "worker": worker,
    }
    return {row["id"] for row in session.fetch_all(_QUERIES["succeed"], parameters)}


def retry(session: Session, claim: Claim, failure: Failure, *, worker: str, wait_seconds: float) -> None:
    """Keep the error and let the job wait for its next try; raises FenceLostError as `succeed` does."""
    parameters = _of(claim, worker) | _why(failure) | {"wait_seconds": wait_seconds}
    _held(session.execute(_QUERIES["retry"], parameters).rowcount, claim)
    session.leave_work()


def fail(session: Session, claim: Claim, failure: Failure, *, worker: str) -> None:
    """Fail the job for good and leave its dead letter for the relay; raises FenceLostError as `succeed` does."""
    parameters = _of(claim, worker) | _why(failure)
    _held(session.execute(_QUERIES["fail"], parameters).rowcount, claim)
    session.leave_work()


def _of(claim: Claim, worker: str) -> dict[str, Any]:
    return {"id": claim.id, "fence": claim.fence, "attempt": claim.attempt, "worker": worker}


def _why(failure: Failure) -> dict[str, Any]:
    return {
        "error_class": failure.error_class,
        "error_message": failure.message,
        "error_traceback": failure.traceback,
    }


def _held(rows: int, claim: Claim) -> None:
    if rows == 0:
        raise FenceLostError(f"job {claim.id} was taken over from fence {claim.fence}; what this try did is dropped")
