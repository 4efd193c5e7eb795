"""Batches: many jobs that end together, and a job that then runs. It is opened, added to, sealed; the relay ends it.

Nothing counts as members end: the relay asks the index of members whether any is unfinished, so that a batch of a
hundred thousand jobs has no row that all of them update (`batches.sql`).
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
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: What a failed member means: nothing to the others; the batch waits until it is replayed or discarded; all others are
#: cancelled, and the batch ends.
OnFailure = Literal["continue", "wait", "cancel"]
State = Literal["open", "ended", "cancelled"]
STATES: tuple[State, ...] = ("open", "ended", "cancelled")

#: As states are shown: a member that waits for its next attempt is retrying.
_UNFINISHED = frozenset({"scheduled", "queued", "running", "retrying"})
#: So many members are cancelled by one statement.
_CANCELLED_AT_ONCE = 10_000


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a batch is. `counts` says how many members are in each state: of this moment, or kept when it ended."""

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

    @property
    def total(self) -> int:
        """Return how many jobs belong to it so far."""
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        """Return how many of them have ended, in whatever way its policy takes for an end."""
        waited_for = _UNFINISHED | {"failed"} if self.on_failure == "wait" and self.state == "open" else _UNFINISHED
        return sum(count for state, count in self.counts.items() if state not in waited_for)

    @property
    def done_fraction(self) -> float:
        """Return the part that is done, 0 to 1; an empty batch is done once it is sealed."""
        return self.done / self.total if self.total else float(self.sealed)


def open(session: Session, *, name: str, on_end: Job | None = None, on_failure: OnFailure = "continue") -> UUID:
    """Open a batch in the session's transaction and return its id; give it members by `add`, then `seal` it.

    `on_end` has its id from now on, and runs when the batch has ended. It finds the batch that it is the end of with
    `batches.of(session, context.job_id)`, and how its members ended with `batches.status`.

    Raises:
        ConflictError: the unique key of `on_end` is taken.
    """
    return _insert(session, name=name, on_end=on_end, on_failure=on_failure, sealed=False)


def add(session: Session, batch_id: UUID, jobs: Sequence[Job]) -> list[UUID]:
    """Enqueue jobs as members of an open batch and return their ids, in the same order.

    A sealed batch takes more as well while it is open. A member that adds before it ends is always in time, for the
    batch does not end before it. A job whose unique key is taken stays with the batch, or with none, that it was first
    enqueued for: its id is returned, and this batch neither counts it nor waits for it.

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
    """Say that no more jobs are to come, so that the batch may end; once or more often.

    Raises:
        NotFoundError: there is no such batch.
    """
    if session.execute(QUERIES["seal"], {"id": batch_id}).rowcount == 0:
        status(session, batch_id)


def submit(
    session: Session, jobs: Sequence[Job], *, name: str, on_end: Job | None = None, on_failure: OnFailure = "continue"
) -> UUID:
    """Open a batch, add the jobs and seal it, all at once, and return its id.

    For example::

        batches.submit(session, [SendEmail(…) for person in people], name="letters", on_end=Report(…))
    """
    batch_id = _insert(session, name=name, on_end=on_end, on_failure=on_failure, sealed=True)
    enqueue_many(session, jobs, batch_id=batch_id)
    return batch_id


def cancel(session: Session, batch_id: UUID, *, reason: str) -> int:
    """Cancel an open batch: members that wait, and its end, at once; those that run are asked to stop.

    Returns how many members that were. Whoever is adding to the batch at this moment is waited for.

    Raises:
        NotFoundError: there is no such batch.
        ConflictError: it has ended, or was cancelled before.
    """
    state = _known(session.fetch_one(QUERIES["lock"], {"id": batch_id}), batch_id)["state"]
    if state != "open":
        raise ConflictError(f"batch {batch_id} cannot be cancelled: it is {state} already")
    session.execute(QUERIES["cancel"], {"id": batch_id, "reason": reason})
    cancelled, after = 0, None
    while True:
        parameters = {"batch_id": batch_id, "after": after, "limit": _CANCELLED_AT_ONCE}
        ids = [row["id"] for row in session.fetch_all(QUERIES["cancel_members"], parameters)]
        cancelled += len(ids)
        if len(ids) < _CANCELLED_AT_ONCE:
            break
        after = max(ids)
    session.after_commit(lambda: log.warning("batch_cancelled", batch_id=str(batch_id), reason=reason, jobs=cancelled))
    return cancelled


def status(session: Session, batch_id: UUID) -> Status:
    """Return how a batch is.

    Raises:
        NotFoundError: there is no such batch.
    """
    return Status(**_known(session.fetch_one(QUERIES["status"], {"ids": [batch_id]}), batch_id))


def recent(session: Session, *, states: Sequence[State] = STATES, limit: int = 20) -> list[Status]:
    """Return the newest batches that are in one of the states."""
    rows = session.fetch_all(QUERIES["recent"], {"states": list(states), "limit": limit})
    return [Status(**row) for row in session.fetch_all(QUERIES["status"], {"ids": [row["id"] for row in rows]})]


def of(session: Session, job_id: UUID) -> UUID | None:
    """Return the batch that a job is a member of, or that it is the end of."""
    row = session.fetch_one(QUERIES["of_job"], {"job_id": job_id})
    return row["id"] if row else None


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A batch that has just ended; `counts` says how many members ended in each state."""

    id: UUID
    name: str
    counts: Mapping[str, int]
    end_job_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CancelledMembers:
    """Members that a failed member cancels: kind and state (`cancelled`, or `running` when asked to stop)."""

    batch_id: UUID
    members: Sequence[tuple[str, str]]


def end_finished(session: Session, *, limit: int) -> list[Ended]:
    """End up to `limit` sealed batches in which nothing is unfinished, and release their end jobs.

    Two statements of one transaction: the first locks the batches, the second sees every member that was added until
    the lock was had. Batches that another relay is ending are skipped.
    """
    locked = [row["id"] for row in session.fetch_all(QUERIES["lock_finished"], {"limit": limit})]
    if not locked:
        return []
    return [Ended(**row) for row in session.fetch_all(QUERIES["end"], {"ids": locked})]


def cancel_broken(session: Session, *, limit: int, members: int) -> list[CancelledMembers]:
    """Cancel up to `members` members of each of up to `limit` batches that a failed member cancels."""
    cancelled = []
    for batch in session.fetch_all(QUERIES["broken"], {"limit": limit}):
        parameters = {"batch_id": batch["id"], "after": None, "limit": members}
        rows = session.fetch_all(QUERIES["cancel_members"], parameters)
        found = [(row["kind"], row["state"]) for row in rows]
        cancelled.append(CancelledMembers(batch_id=batch["id"], members=found))
    return cancelled


def _insert(session: Session, *, name: str, on_end: Job | None, on_failure: OnFailure, sealed: bool) -> UUID:
    batch_id = new_id()
    end_job_id = _hold_end(session, on_end) if on_end is not None else None
    session.execute(
        QUERIES["open"],
        {"id": batch_id, "name": name, "on_failure": on_failure, "sealed": sealed, "end_job_id": end_job_id},
    )
    session.after_commit(lambda: log.info("batch_opened", batch_id=str(batch_id), batch=name))
    return batch_id


def _hold_end(session: Session, on_end: Job) -> UUID:
    (job_id,) = enqueue_many(session, [on_end], waits_for_batch=True)
    row = session.fetch_one(QUERIES["is_fresh"], {"id": job_id})
    if not (row and row["is_fresh"]):
        raise ConflictError(f"the unique key of on_end, {on_end.unique_key()!r}, is taken by job {job_id}")
    return job_id


def _known(row: Mapping[str, Any] | None, batch_id: UUID) -> Mapping[str, Any]:
    if row is None:
        raise NotFoundError(f"there is no batch {batch_id}; `moneyflow batches list` shows those that are there")
    return row
