"""How a job is, for who asks."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.database import Session, load_queries
from moneyflow.errors import NotFoundError

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


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
    row = session.fetch_one(_QUERIES["job_status"], {"id": job_id})
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return row


def job_detail(session: Session, job_id: UUID) -> JobDetail:
    """Return all that is known of a job, for operators; whoever shows it masks the payload.

    Raises:
        NotFoundError: when there is no such job.
    """
    job = session.fetch_one(_QUERIES["job"], {"id": job_id})
    if job is None:
        raise NotFoundError(f"there is no job {job_id}; see `moneyflow failed list` for the ids of what failed")
    return JobDetail(
        job=job,
        attempts=session.fetch_all(_QUERIES["attempts"], {"id": job_id}),
        operations=session.fetch_all(_QUERIES["operations"], {"id": job_id}),
    )
