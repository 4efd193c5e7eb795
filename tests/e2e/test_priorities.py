"""A job of high priority goes before what waits, in RabbitMQ's queue and in a worker's prefetched messages."""

from pathlib import Path
from uuid import UUID

import orjson
import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.settings import AllSettings
from tests.support import effects, jobs
from tests.support.effects import LeaveEffect
from tests.support.kafka_records import everything_in
from tests.support.processes import BY_MESSAGES, Processes
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


def test_a_high_job_overtakes_a_low_one_that_a_worker_has_prefetched(
    platform: AllSettings, database: Database, processes: Processes, holds: list[Path]
) -> None:
    processes.relay(wait_ready=False)
    processes.worker(WORKER_THREADS="2")
    quick = jobs.enqueue(database, *[LeaveEffect() for _ in range(40)])
    jobs.until_all(database, quick, "succeeded")  # By now it reads far ahead.
    running = jobs.enqueue(database, *[LeaveEffect(held_by=str(hold)) for hold in holds])
    jobs.until_all(database, running, "running")
    waiting = jobs.enqueue(database, *[LeaveEffect(rank=rank) for rank in (0, 3, 10)])
    jobs.until_all(database, waiting, "queued")

    holds[0].unlink()
    jobs.until_all(database, waiting, "succeeded")

    assert _order(database, waiting) == waiting[::-1]
    assert jobs.states(database, running) == {"running": 1, "succeeded": 1}, "one thread has done them all"


def test_what_a_busy_worker_has_prefetched_goes_to_one_that_is_idle(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    processes.relay(wait_ready=False)
    busy = processes.worker(WORKER_THREADS="2", **BY_MESSAGES)
    quick = jobs.enqueue(database, *[LeaveEffect() for _ in range(40)])
    jobs.until_all(database, quick, "succeeded")
    with database.transaction() as session:
        slow = enqueue_many(session, [LeaveEffect(held_by=str(hold)) for _ in range(6)])
    eventually(lambda: effects.begun(hold) == 2, what="two of six run here, the others have come with them")

    processes.worker(WORKER_THREADS="4")

    eventually(lambda: effects.begun(hold) == 6, what="all six run, for the first worker gave back what it held")
    eventually(lambda: "claims_released" in busy.log(), what="it says so, at about the time that the other begins them")
    hold.unlink()
    jobs.until_all(database, slow, "succeeded")
    assert set(jobs.effects(database, slow).values()) == {1}


def test_a_high_job_overtakes_low_ones_that_wait_in_the_queue(
    platform: AllSettings, database: Database, processes: Processes, holds: list[Path]
) -> None:
    processes.relay(wait_ready=False)
    processes.worker(WORKER_THREADS="1", **BY_MESSAGES)
    (running,) = jobs.enqueue(database, LeaveEffect(held_by=str(holds[0])))
    jobs.until_all(database, [running], "running")
    low = jobs.enqueue(database, *[LeaveEffect(rank=1) for _ in range(6)])
    jobs.until_all(database, low, "queued")
    (high,) = jobs.enqueue(database, LeaveEffect(rank=10))
    jobs.until_all(database, [high], "queued")

    holds[0].unlink()
    jobs.until_all(database, [*low, high], "succeeded")

    assert _order(database, [*low, high]).index(high) <= 1, "at most what was prefetched already goes before it"


def test_a_low_priority_that_is_starved_is_reported_once(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    relay = processes.relay(sabotage="starves_soon", wait_ready=False)
    (starved,) = jobs.enqueue(database, LeaveEffect(rank=2))

    (record,) = eventually(lambda: everything_in(platform, "system.events"), what="a warning is on system.events")

    warning = orjson.loads(record.value)
    assert (warning["type"], warning["data"]["code"]) == ("system.warning", "jobs_starved")
    assert warning["data"]["details"]["priority"] == 2
    looked_at = relay.get("/metrics").text
    eventually(lambda: relay.get("/metrics").text != looked_at, what="the relay has looked again")
    assert len(everything_in(platform, "system.events")) == 1
    assert jobs.states(database, [starved]) == {"queued": 1}
