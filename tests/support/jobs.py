"""What tests ask about jobs: enqueue some, wait for their states, count their effects."""

from collections import Counter
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue as enqueue_job
from moneyflow.platform.jobs.store.status import job_detail
from tests.support.waiting import eventually


def enqueue(database: Database, *jobs: Job) -> list[UUID]:
    """Enqueue each job in a transaction of its own."""
    ids = []
    for job in jobs:
        with database.transaction() as session:
            ids.append(enqueue_job(session, job))
    return ids


def states(database: Database, ids: Collection[UUID]) -> Counter[str]:
    """Count the jobs that there are by their states, as these are shown."""
    with database.transaction() as session:
        rows = session.fetch_all("select state, attempt from jobs where id = any(%(ids)s)", {"ids": list(ids)})
    return Counter("retrying" if row["state"] == "scheduled" and row["attempt"] else row["state"] for row in rows)


def job(database: Database, job_id: UUID) -> DictRow:
    """Return a job's row, with its state as it is shown."""
    with database.transaction() as session:
        return job_detail(session, job_id).job


def change(database: Database, job_id: UUID, *, state: str) -> None:
    """Put a job into a state as it is shown, as if it had come there."""
    with database.transaction() as session:
        session.execute(f"update jobs set {shown_as(state)} where id = %(id)s", {"id": job_id})


def shown_as(state: str) -> str:
    """Return the assignments after which a job is shown in a state."""
    return "state = 'scheduled', attempt = greatest(attempt, 1)" if state == "retrying" else f"state = '{state}'"


def now(database: Database) -> datetime:
    """Return the moment by Postgres's clock."""
    with database.transaction() as session:
        row = session.fetch_one("select clock_timestamp() as now")
    assert row is not None
    moment: datetime = row["now"]
    return moment


def attempts(database: Database, job_id: UUID) -> list[DictRow]:
    """Return a job's attempts in their order."""
    with database.transaction() as session:
        return session.fetch_all("select * from job_attempts where job_id = %(id)s order by fence", {"id": job_id})


def until_all(database: Database, ids: Collection[UUID], state: str, *, seconds: float = 60) -> None:
    """Wait until all the jobs are in `state`."""
    eventually(
        lambda: states(database, ids)[state] == len(ids),
        seconds=seconds,
        what=f"{len(ids)} jobs {state}, there are {states(database, ids)}",
    )


def effects(database: Database, ids: Collection[UUID]) -> Counter[UUID]:
    """Count the effects that each job left."""
    with database.transaction() as session:
        rows = session.fetch_all("select job_id from effects where job_id = any(%(ids)s)", {"ids": list(ids)})
    return Counter(row["job_id"] for row in rows)
