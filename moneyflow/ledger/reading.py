"""How a job is, for who asks."""

from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.database import Session, load_queries
from moneyflow.errors import NotFoundError

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def job_status(session: Session, job_id: UUID) -> DictRow:
    """Return id, kind, state, attempt, max_attempts and the job's times; nothing of its payload.

    Raises:
        NotFoundError: when there is no such job.
    """
    row = session.fetch_one(_QUERIES["job_status"], {"id": job_id})
    if row is None:
        raise NotFoundError(f"there is no job {job_id}")
    return row
