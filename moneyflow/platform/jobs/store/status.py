"""How a job is, for who asks."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """A job's whole row, its tries, and what operators did to it; the payload as it is stored."""

    job: DictRow
    attempts: list[DictRow]
    operations: list[DictRow]


def job_status(session: Session, job_id: UUID) -> DictRow:
    """Return id, state, attempt, times, progress, result and last error of a job; nothing of its payload.

    Raises:
        NotFoundError: when there is no such job.
    """
    row = session.fetch_one(QUERIES["job_status"], {"id": job_id})
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return row


def job_detail(session: Session, job_id: UUID) -> JobDetail:
    """Return all that is known of a job, for operators; whoever shows it masks the payload.

    Raises:
        NotFoundError: when there is no such job.
    """
    job = session.fetch_one(QUERIES["job"], {"id": job_id})
    if job is None:
        raise NotFoundError(f"there is no job {job_id}; see `moneyflow failed list` for the ids of what failed")
    job["state"] = job.pop("shown_state")
    return JobDetail(
        job=job,
        attempts=session.fetch_all(QUERIES["attempts"], {"id": job_id}),
        operations=session.fetch_all(QUERIES["operations"], {"id": job_id}),
    )


def find(session: Session, *, state: str | None, kind: str | None, limit: int) -> list[DictRow]:
    """Return the newest jobs of a state and a kind, or of any; nothing of their payload."""
    return session.fetch_all(QUERIES["find"], {"state": state, "kind": kind, "limit": limit})


def standing(session: Session) -> list[DictRow]:
    """Return kind, priority, state, jobs, blocked and oldest_due_seconds of unfinished and failed jobs.

    `blocked` counts those that wait for a place under their limit or for their batch.
    """
    return session.fetch_all(QUERIES["standing"])


async def counts_by_state(connection: AsyncConnection[DictRow]) -> dict[str, int]:
    """Return how many jobs are in each unfinished state that has any."""
    rows = await (await connection.execute(QUERIES["jobs_in_state"])).fetchall()
    return {row["state"]: row["jobs"] for row in rows}


async def oldest_due(connection: AsyncConnection[DictRow]) -> dict[int, float]:
    """Return by priority for how many seconds the oldest job has been due that neither a pause nor a limit holds."""
    rows = await (await connection.execute(QUERIES["oldest_due"])).fetchall()
    return {row["priority"]: row["seconds"] for row in rows}


async def outbox_ages(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return `kind` (job, dead_letter), `rows` and `seconds` of what waits for the relay."""
    return await (await connection.execute(QUERIES["outbox_age"])).fetchall()
