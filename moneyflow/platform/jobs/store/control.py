"""Control: cancel a job; pause and resume a kind, by an operator or by the kind's breaker."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError, NotFoundError
from moneyflow.platform.jobs.policy import Breaker
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: `paused_by` of a kind that its breaker paused.
BREAKER = "breaker"


def cancel(session: Session, job_id: UUID) -> str:
    """Cancel a job and return its new state: `cancelled` when it waited, `running` when it was asked to stop.

    A running job stops where its handler next calls `context.progress()` or `context.checkpoint()`, at its time limit
    at the latest; its transaction is rolled back. A job that succeeds before such a call has succeeded.

    Raises:
        NotFoundError: there is no such job.
        ConflictError: the job has ended already.
    """
    row = session.fetch_one(QUERIES["cancel"], {"ids": [job_id]})
    if row is None:
        raise NotFoundError(f"there is no job {job_id}", about="job")
    if row["end"]:
        return str(row["end"])
    raise ConflictError(f"job {job_id} is {row['state']} already: only a job that waits or runs can be cancelled")


def cancel_many(session: Session, ids: Sequence[UUID]) -> dict[UUID, str]:
    """Cancel jobs as `cancel` does, in one statement; return the new states of those that had not ended."""
    rows = session.fetch_all(QUERIES["cancel"], {"ids": list(ids)})
    return {row["id"]: row["end"] for row in rows if row["end"]}


def pause(session: Session, kind: str, *, by: str, reason: str) -> None:
    """Pause a kind: from the commit on no worker starts a job of it; jobs that run are not interrupted."""
    session.execute(QUERIES["pause"], {"kind": kind, "by": by, "reason": reason, "probe_seconds": None})


def trip(session: Session, kind: str, *, reason: str, breaker: Breaker) -> bool:
    """Pause a kind whose breaker has tripped; return False when it was paused already."""
    parameters = {"kind": kind, "by": BREAKER, "reason": reason, "probe_seconds": breaker.probe_seconds}
    return session.fetch_one(QUERIES["pause"], parameters) is not None


def resume(session: Session, kind: str) -> bool:
    """End a pause, so that jobs that waited run after the commit; return False when the kind was not paused."""
    session.notify_after_commit()
    return session.fetch_one(QUERIES["resume"], {"kind": kind, "probe_job_id": None}) is not None


def probe_succeeded(session: Session, kind: str, job_id: UUID) -> bool:
    """End the pause of a kind whose probe succeeded; return False when the job is not the kind's probe."""
    session.notify_after_commit()
    return session.fetch_one(QUERIES["resume"], {"kind": kind, "probe_job_id": job_id}) is not None


def probe_failed(session: Session, kind: str, job_id: UUID, breaker: Breaker) -> None:
    """Double the wait for the next probe of the kind, up to its breaker's longest."""
    parameters = {"kind": kind, "probe_job_id": job_id, "longest_seconds": breaker.longest_probe_seconds}
    session.execute(QUERIES["probe_failed"], parameters)


def probe_inconclusive(session: Session, kind: str, job_id: UUID) -> None:
    """Let another job probe the kind at once: this one ended without showing whether the outage is over."""
    session.execute(QUERIES["probe_inconclusive"], {"kind": kind, "probe_job_id": job_id})


def paused(session: Session) -> list[DictRow]:
    """Return every paused kind: kind, paused_at, paused_by, pause_reason, and probe_at when its breaker paused it."""
    return session.fetch_all(QUERIES["paused"])


async def paused_seconds(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return `kind`, `paused_by` and the `seconds` since then of every paused kind."""
    return await (await connection.execute(QUERIES["paused_seconds"])).fetchall()


async def choose_probes(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Choose a probe for each kind whose breaker is open and due; return `kind` and `probe_job_id` of each."""
    return await (await connection.execute(QUERIES["choose_probes"])).fetchall()


async def release_places(connection: AsyncConnection[DictRow]) -> int:
    """Free the places under limits that jobs of paused kinds hold without running; return the number of jobs."""
    return (await connection.execute(QUERIES["release_places"])).rowcount
