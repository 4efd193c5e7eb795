"""Limits hold over all workers, also while workers are killed."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, kinds
from tests.support.killer import Killer
from tests.support.kinds import Placed, Rated
from tests.support.processes import Processes


@pytest.fixture
def running(platform: AllSettings) -> AllSettings:
    kinds.create_table(platform)
    return platform


def _most_at_once(database: Database, ids: Sequence[UUID], *, by: str) -> int:
    """Return how many of the jobs ran at one moment, the most of any group."""
    with database.transaction() as session:
        row = session.fetch_one(
            f"""
            with moments as (
                select {by} as of, began as at, 1 as change from spans where job_id = any(%(ids)s)
                union all select {by}, ended, -1 from spans where job_id = any(%(ids)s)
            )
            select max(together) as most from (
                select sum(change) over (partition by of order by at, change) as together from moments
            ) counted
            """,
            {"ids": list(ids)},
        )
    assert row is not None
    return int(row["most"])


def test_no_more_run_at_once_than_the_limit_says_and_one_of_each_key_though_workers_are_killed(
    running: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    workers = [processes.worker(), processes.worker()]
    ids = jobs.enqueue(database, *[Placed(key=f"k{n % 5}", failures=int(n % 10 == 0)) for n in range(240)])

    with Killer(workers, seconds=1.5, seed=4, most=12) as killer:
        jobs.until_all(database, ids, "succeeded", seconds=90)

    assert killer.kills.total() >= 1
    assert _most_at_once(database, ids, by="'all'") <= 3
    assert _most_at_once(database, ids, by="key") == 1
    assert _most_at_once(database, ids, by="'all'") >= 2, "the places were used"


def test_no_second_has_more_starts_than_the_rate_allows(
    running: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    processes.worker()
    ids = jobs.enqueue(database, *[Rated() for _ in range(22)])
    jobs.until_all(database, ids, "succeeded")

    with database.transaction() as session:
        row = session.fetch_one(
            """
            select max(starts) as most from (
                select count(*) over (
                    order by started_at range between '0.99 second' preceding and current row
                ) as starts
                from job_starts where limit_name = 'test_rate'
            ) counted
            """
        )
    assert row == {"most": 5}
    assert {len(jobs.attempts(database, job_id)) for job_id in ids} == {1}, "no job was refused"
