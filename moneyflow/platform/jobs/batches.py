"""Batches: jobs that end together, and an end job that then runs. Authors open, fill and seal one; the relay ends it.

No counter is kept while members end: the relay looks for an unfinished one in the index of members, so that a batch of
a hundred thousand jobs has no row that all of them update (`store/batches.sql`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import structlog

from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.jobs.store.batches import cancel_members
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry import origin

log = structlog.get_logger(__name__)

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: What follows from a failed member. continue: nothing; wait: the batch does not end until an operator replays or
#: discards it; cancel: the other members are cancelled, and the batch ends.
OnFailure = Literal["continue", "wait", "cancel"]
State = Literal["open", "ended", "cancelled"]
STATES: tuple[State, ...] = ("open", "ended", "cancelled")

#: As states are shown: a member that waits for its next attempt is retrying.
_UNFINISHED = frozenset({"scheduled", "queued", "running", "retrying"})
#: Members that one statement cancels.
_CANCELLED_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A line of the request that made a batch, counted from 1, for which nothing was done; a reason without names."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """Status of a batch. `counts` holds the number of members in each state, now or, once it ended, at its end."""

    id: UUID
    name: str
    on_failure: OnFailure
    state: State
    sealed: bool
    counts: Mapping[str, int]
    end_job_id: UUID | None
    cancel_reason: str | None
    created_at: datetime
    ended_at: datetime | None
    #: The person who made it; None where no person did.
    owner_id: UUID | None

    @property
    def total(self) -> int:
        """Return the number of members so far."""
        return sum(self.counts.values())

    @property
    def unfinished(self) -> int:
        """Return how many members wait or run."""
        return sum(count for state, count in self.counts.items() if state in _UNFINISHED)

    @property
    def done(self) -> int:
        """Return how many members have ended; under `wait`, a failed one has not."""
        waited_for = _UNFINISHED | {"failed"} if self.on_failure == "wait" and self.state == "open" else _UNFINISHED
        return sum(count for state, count in self.counts.items() if state not in waited_for)

    @property
    def done_fraction(self) -> float:
        """Return the share of members that have ended, 0 to 1; 1 for an empty batch that is sealed."""
        return self.done / self.total if self.total else float(self.sealed)


def open(session: Session, *, name: str, on_end: Job | None = None, on_failure: OnFailure = "continue") -> UUID:
    """Open a batch in the session's transaction and return its id; then `add` members and `seal` it.

    It is of the person whose request the session works for, if any.

    `on_end` is inserted now and runs after the batch has ended. Its handler finds the batch with
    `batches.of(session, context.job_id)`, and how the members ended with `batches.status`.

    Raises:
        ConflictError: the unique key of `on_end` is taken.
    """
    return _insert(session, name=name, on_end=on_end, on_failure=on_failure, sealed=False)


def add(session: Session, batch_id: UUID, jobs: Sequence[Job]) -> list[UUID]:
    """Enqueue jobs as members of an open batch and return their ids, in the same order.

    A sealed batch accepts members too while it is open, and it is open as long as a member that adds others runs. A job
    whose unique key is taken stays in the batch, if any, that it was first enqueued for: its id is returned, and this
    batch neither counts it nor waits for it.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: it has ended or was cancelled.
    """
    row = session.fetch_one(QUERIES["keep_open"], {"id": batch_id})
    state = _known(row, batch_id)["state"]
    if state != "open":
        raise ConflictError(f"batch {batch_id} takes no more jobs: it is {state}; open another one")
    return enqueue_many(session, jobs, batch_id=batch_id)


def seal(session: Session, batch_id: UUID) -> None:
    """Mark the batch as complete, so that it may end once its members have; idempotent.

    Raises:
        NotFoundError: there is no such batch.
    """
    if session.execute(QUERIES["seal"], {"id": batch_id}).rowcount == 0:
        status(session, batch_id)


def submit(
    session: Session, jobs: Sequence[Job], *, name: str, on_end: Job | None = None, on_failure: OnFailure = "continue"
) -> UUID:
    """Open a batch, add the jobs and seal it, in one call, and return its id.

    For example::

        batches.submit(session, [SendEmail(…) for person in people], name="newsletter", on_end=Report(…))
    """
    batch_id = _insert(session, name=name, on_end=on_end, on_failure=on_failure, sealed=True)
    enqueue_many(session, jobs, batch_id=batch_id)
    return batch_id


def refuse(session: Session, batch_id: UUID, refusals: Sequence[Refusal]) -> None:
    """Keep which lines of the request that made the batch were refused, by the request itself or by a member."""
    rows = [{"batch_id": batch_id, "line": refusal.line, "reason": refusal.reason} for refusal in refusals]
    if rows:
        session.execute_many(QUERIES["refuse"], rows)


def refused(session: Session, batch_id: UUID) -> list[Refusal]:
    """Return the refused lines, in order."""
    return [Refusal(**row) for row in session.fetch_all(QUERIES["refused"], {"id": batch_id})]


def cancel(session: Session, batch_id: UUID, *, reason: str) -> int:
    """Cancel an open batch and its end job: members that wait are cancelled, those that run are asked to stop.

    Returns the number of these members. Waits for transactions that add to the batch.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: it has ended, or was cancelled already.
    """
    state = _known(session.fetch_one(QUERIES["lock"], {"id": batch_id}), batch_id)["state"]
    if state != "open":
        raise ConflictError(f"batch {batch_id} cannot be cancelled: it is {state} already")
    session.execute(QUERIES["cancel"], {"id": batch_id, "reason": reason})
    cancelled, after = 0, None
    while True:
        rows = cancel_members(session, batch_id, after=after, limit=_CANCELLED_AT_ONCE)
        ids = [row["id"] for row in rows]
        cancelled += len(ids)
        if len(ids) < _CANCELLED_AT_ONCE:
            break
        after = max(ids)
    session.after_commit(lambda: log.warning("batch_cancelled", batch_id=str(batch_id), reason=reason, jobs=cancelled))
    return cancelled


def status(session: Session, batch_id: UUID) -> Status:
    """Return the status of a batch.

    Raises:
        NotFoundError: there is no such batch.
    """
    return Status(**_known(session.fetch_one(QUERIES["status"], {"ids": [batch_id]}), batch_id))


def check_owned(scope: OwnerScope, batch_id: UUID) -> None:
    """Check that the caller may read a batch.

    Raises:
        NotFoundError: the batch is another user's, or there is none.
    """
    scope.row(QUERIES["owned"], batch_id, what="batch")


def recent(session: Session, *, states: Sequence[State] = STATES, limit: int = 20) -> list[Status]:
    """Return the newest batches in any of the states."""
    rows = session.fetch_all(QUERIES["recent"], {"states": list(states), "limit": limit})
    return [Status(**row) for row in session.fetch_all(QUERIES["status"], {"ids": [row["id"] for row in rows]})]


def of(session: Session, job_id: UUID) -> UUID | None:
    """Return the batch that a job is a member of, or the end job of."""
    row = session.fetch_one(QUERIES["of_job"], {"job_id": job_id})
    return row["id"] if row else None


def _insert(session: Session, *, name: str, on_end: Job | None, on_failure: OnFailure, sealed: bool) -> UUID:
    batch_id = new_id()
    end_job_id = _insert_end_job(session, on_end) if on_end is not None else None
    session.execute(
        QUERIES["open"],
        {
            "id": batch_id,
            "name": name,
            "on_failure": on_failure,
            "sealed": sealed,
            "end_job_id": end_job_id,
            "owner_id": origin.current().actor_id,
        },
    )
    session.after_commit(lambda: log.info("batch_opened", batch_id=str(batch_id), batch=name))
    return batch_id


def _insert_end_job(session: Session, on_end: Job) -> UUID:
    (job_id,) = enqueue_many(session, [on_end], waits_for_batch=True)
    row = session.fetch_one(QUERIES["is_new"], {"id": job_id})
    if not (row and row["is_new"]):
        raise ConflictError(
            f"the unique key of on_end, {on_end.unique_key()!r}, is taken by job {job_id}; give it another key"
        )
    return job_id


def _known(row: Mapping[str, Any] | None, batch_id: UUID) -> Mapping[str, Any]:
    if row is None:
        raise NotFoundError(f"there is no batch {batch_id}", about="batch")
    return row
