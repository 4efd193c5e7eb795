"""Status of jobs: one job for the API, details and counts for operators and metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: Seconds of the steps in which a stranger's view of a job changes; see the fragment `done_for_strangers`.
STRANGERS_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class JobDetail:
    """A job's row with its stored payload, its attempts, and the operations on it."""

    job: DictRow
    attempts: list[DictRow]
    operations: list[DictRow]


def job_status(scope: OwnerScope, job_id: UUID) -> DictRow:
    """Return the status of a job, without its payload: all of it, or where `is_for_strangers` only `is_done` counts.

    Raises:
        NotFoundError: the caller may not read a job with this id, or there is none.
    """
    return scope.row(QUERIES["job_status"], job_id, what="job")


def endings(session: Session, ids: Sequence[UUID]) -> list[DictRow]:
    """Return of those jobs that exist: `id`, `has_ended`, and `is_done` as a stranger sees it."""
    return session.fetch_all(QUERIES["endings"], {"ids": list(ids)})


def job_detail(session: Session, job_id: UUID) -> JobDetail:
    """Return a job in full, for operators; the caller masks the payload before it is shown.

    Raises:
        NotFoundError: there is no such job.
    """
    job = session.fetch_one(QUERIES["job"], {"id": job_id})
    if job is None:
        raise NotFoundError(f"there is no job {job_id}", about="job")
    job["state"], job["due_at"] = job.pop("shown_state"), job.pop("shown_due_at")
    return JobDetail(
        job=job,
        attempts=session.fetch_all(QUERIES["attempts"], {"id": job_id}),
        operations=session.fetch_all(QUERIES["operations"], {"id": job_id}),
    )


def counts(session: Session) -> list[DictRow]:
    """Count unfinished and failed jobs: kind, priority, state, jobs, blocked, oldest_due_seconds.

    `blocked` jobs wait for a place under their limit or for their batch.
    """
    return session.fetch_all(QUERIES["counts"])


async def counts_by_state(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return `kind`, `state` and the number of `jobs` of each unfinished state, and of failed jobs, that has any."""
    return await (await connection.execute(QUERIES["jobs_in_state"])).fetchall()


def parked(session: Session) -> list[DictRow]:
    """Return the jobs that no worker can read, by kind and reason: jobs, oldest_enqueued_at, oldest_id."""
    return session.fetch_all(QUERIES["parked"])


async def parked_by_kind(connection: AsyncConnection[DictRow]) -> dict[str, int]:
    """Return the number of parked jobs of each kind that has any."""
    rows = await (await connection.execute(QUERIES["parked_by_kind"])).fetchall()
    return {row["kind"]: row["jobs"] for row in rows}


async def oldest_due(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return for each kind and priority the `seconds` for which its oldest job has been due, and `is_paused`."""
    return await (await connection.execute(QUERIES["oldest_due"])).fetchall()


async def outbox_ages(connection: AsyncConnection[DictRow]) -> list[DictRow]:
    """Return `kind` (job, dead_letter), `rows` and the age in `seconds` of the rows that the relay has to publish."""
    return await (await connection.execute(QUERIES["outbox_age"])).fetchall()
