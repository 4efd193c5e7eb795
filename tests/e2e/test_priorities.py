"""A job of high priority goes before what waits, in RabbitMQ's queue and in a worker's own window."""

from pathlib import Path
from uuid import UUID

import pytest

from moneyflow.database import Database
from moneyflow.settings import Settings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.fixture
def holds(tmp_path: Path) -> list[Path]:
    """Return files that hold a job each, for as long as they are there."""
    files = [tmp_path / "hold-0", tmp_path / "hold-1"]
    for file in files:
        file.touch()
    return files


def _order(database: Database, ids: list[UUID]) -> list[UUID]:
    """Return the jobs in the order in which they ended."""
    return sorted(ids, key=lambda job_id: jobs.job(database, job_id)["finished_at"])


def test_a_high_job_overtakes_a_low_one_inside_one_workers_window(
    platform: Settings, database: Database, processes: Processes, holds: list[Path]
) -> None:
    processes.relay(wait_ready=False)
    processes.worker(WORKER_THREADS="2")  # Two run, and two more lie in the window.
    running = jobs.enqueue(database, *[LeaveEffect(held_by=str(hold)) for hold in holds])
    jobs.until_all(database, running, "running")
    waiting = []
    for rank in (0, 10):
        waiting += jobs.enqueue(database, LeaveEffect(rank=rank))
        jobs.until_all(database, waiting, "queued")
        eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="the worker has all there is")

    holds[0].unlink()
    jobs.until_all(database, waiting, "succeeded")

    assert _order(database, waiting) == waiting[::-1]
    assert jobs.states(database, running) == {"running": 1, "succeeded": 1}, "one thread has done both"


def test_a_high_job_overtakes_low_ones_that_wait_in_the_queue(
    platform: Settings, database: Database, processes: Processes, holds: list[Path]
) -> None:
    processes.relay(wait_ready=False)
    processes.worker(WORKER_THREADS="1")
    (running,) = jobs.enqueue(database, LeaveEffect(held_by=str(holds[0])))
    jobs.until_all(database, [running], "running")
    low = jobs.enqueue(database, *[LeaveEffect(rank=1) for _ in range(6)])
    jobs.until_all(database, low, "queued")
    (high,) = jobs.enqueue(database, LeaveEffect(rank=10))
    jobs.until_all(database, [high], "queued")

    holds[0].unlink()
    jobs.until_all(database, [*low, high], "succeeded")

    assert _order(database, [*low, high]).index(high) <= 1, "at most what the window held already goes before it"
