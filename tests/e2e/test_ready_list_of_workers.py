"""Ready list: idle workers take committed jobs by their ids; it is best effort, and no job is lost without it."""

import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.fixture
def database(settings: AllSettings) -> Iterator[Database]:
    """Return this test's database, whose ids of ready jobs stay until a worker has the time to take them."""
    notifier = Notifier(settings, kept_milliseconds=60_000)
    database = Database(settings.conninfo("worker", application_name="test"), size=8, notify=notifier)
    database.open()
    yield database
    database.close()


def _until_one_begins(database: Database, *, rank: int | None = None) -> UUID:
    """Enqueue a job now and then until one begins: ids are best effort, and a worker may drop them while it is slow."""
    ids: list[UUID] = []

    def begins() -> UUID | None:
        ids.extend(jobs.enqueue(database, LeaveEffect() if rank is None else LeaveEffect(rank=rank)))
        time.sleep(0.2)
        return next((job_id for job_id in ids if jobs.job(database, job_id)["fence"]), None)

    return eventually(begins, what="one has begun")


def test_an_idle_worker_needs_no_message_to_run_what_was_committed(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.worker()
    _until_one_begins(database)
    ids = []
    for _ in range(20):
        ids += jobs.enqueue(database, LeaveEffect())
        jobs.until_all(database, ids, "succeeded")

    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
    assert [jobs.job(database, job_id)["published_at"] for job_id in ids] == [None] * 20


def test_what_no_worker_took_the_relay_publishes(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    ids = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    processes.relay(wait_ready=False)

    jobs.until_all(database, ids, "queued")
    processes.worker()
    jobs.until_all(database, ids, "succeeded")

    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_worker_that_does_not_reach_redis_gets_its_jobs_by_rabbitmq_alone(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    worker = processes.worker(REDIS_PORT="1")
    (first,) = jobs.enqueue(database, LeaveEffect())
    time.sleep(1)
    assert jobs.states(database, [first]) == {"scheduled": 1}

    relay = processes.relay(wait_ready=False)
    jobs.until_all(database, [first], "succeeded")
    relay.stop()
    assert worker.log().count("ready_list_lost") == 1

    processes.worker()
    _until_one_begins(database)
    assert jobs.effects(database, [first]) == {first: 1}


@pytest.mark.parametrize(
    "point", ["dies_at:worker.claimed:1", "dies_at:worker.before_finish:1", "dies_at:worker.finished:1"]
)
def test_a_job_without_a_message_whose_worker_is_killed_has_its_effect_once(
    point: str, platform: AllSettings, database: Database, processes: Processes
) -> None:
    dying = processes.worker(sabotage=point)
    job_id = _until_one_begins(database)
    dying.wait()
    assert jobs.job(database, job_id)["published_at"] is None

    processes.relay(sabotage="looks_often", wait_ready=False)
    processes.worker()
    jobs.until_all(database, [job_id], "succeeded")

    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_an_urgent_job_begins_before_what_a_busy_worker_holds_though_it_is_never_published(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    quick = jobs.enqueue(database, *[LeaveEffect(seconds=0.01) for _ in range(300)])
    relay = processes.relay(wait_ready=False)
    jobs.until_all(database, quick, "queued")
    relay.stop()
    processes.worker(WORKER_THREADS="1")
    eventually(lambda: jobs.states(database, quick)["succeeded"] > 20, what="it knows how quick they are")

    urgent = _until_one_begins(database, rank=9)

    assert jobs.states(database, quick)["succeeded"] < 290
    assert jobs.job(database, urgent)["published_at"] is None
