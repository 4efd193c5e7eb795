"""A server that is cut off, stopped or restarted in the middle of work: nothing is lost and effects happen once."""

from uuid import UUID

import orjson
import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.kafka_records import everything_in
from tests.support.processes import Process, Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually
from tests.support.work import Stream, steady_work


@pytest.fixture
def worker(platform: AllSettings, processes: Processes) -> Process:
    """Start a relay and a worker."""
    processes.relay(wait_ready=False)
    return processes.worker()


def _done(database: Database, stream: Stream) -> int:
    return jobs.states(database, stream.jobs)["succeeded"]


def _grows(database: Database, stream: Stream, *, by: int = 10) -> None:
    """Wait until `by` more jobs are done."""
    before = _done(database, stream)
    eventually(lambda: _done(database, stream) >= before + by, seconds=30, what=f"{by} more jobs are done")


def _all_jobs_once(database: Database, stream: Stream) -> None:
    jobs.until_all(database, stream.jobs, "succeeded", seconds=40)
    assert len(stream.jobs) > 10
    assert jobs.effects(database, stream.jobs) == dict.fromkeys(stream.jobs, 1)


def _sequences(settings: AllSettings, user_id: UUID) -> list[int]:
    """Return the user's events in the order in which they first came."""
    envelopes = [orjson.loads(record.value) for record in everything_in(settings, "user.events")]
    ours = {event["id"]: int(event["sequence"]) for event in envelopes if event["subject"] == str(user_id)}
    return list(ours.values())


def _all_events_in_order(settings: AllSettings, stream: Stream) -> None:
    eventually(lambda: len(_sequences(settings, stream.user_id)) >= stream.events, seconds=40, what="all events came")
    found = _sequences(settings, stream.user_id)
    assert found == sorted(found)
    if not stream.unanswered:
        assert found == list(range(1, stream.events + 1))


def test_rabbitmq_connections_that_are_cut_in_the_middle_of_work(
    platform: AllSettings, database: Database, worker: Process, servers: RealServers
) -> None:
    with steady_work(database) as stream:
        for _ in range(3):
            _grows(database, stream)
            closed = eventually(
                lambda: rabbitmq_admin.close_connections(servers, platform.rabbitmq_vhost),
                what="RabbitMQ shows connections to cut",
            )
            assert closed >= 1
        _grows(database, stream)

    _all_jobs_once(database, stream)
    assert worker.get("/healthz").status_code == 200


def test_rabbitmq_stopped_and_started_while_events_continue(
    platform: AllSettings, database: Database, worker: Process, breakable: RealServers
) -> None:
    with steady_work(database) as stream:
        _grows(database, stream)

        breakable.rabbitmq.stop()
        events_before = len(_sequences(platform, stream.user_id))
        eventually(lambda: len(_sequences(platform, stream.user_id)) > events_before + 10, what="events go on")
        eventually(lambda: worker.get("/readyz").status_code == 503, what="the worker says what it misses")
        breakable.rabbitmq.start()
        breakable.rabbitmq.wait_ready()
        _grows(database, stream)

    _all_jobs_once(database, stream)
    _all_events_in_order(platform, stream)
    eventually(lambda: worker.get("/readyz").status_code == 200, what="the worker is ready again")


def test_kafka_stopped_and_started_while_jobs_continue(
    platform: AllSettings, database: Database, worker: Process, breakable: RealServers
) -> None:
    with steady_work(database) as stream:
        _grows(database, stream)

        breakable.kafka.stop()
        _grows(database, stream, by=20)
        breakable.kafka.start()
        breakable.kafka.wait_ready()
        _grows(database, stream)

    _all_jobs_once(database, stream)
    _all_events_in_order(platform, stream)


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_postgres_restarted_in_the_middle_of_work(
    way: str, platform: AllSettings, database: Database, worker: Process, breakable: RealServers
) -> None:
    with steady_work(database) as stream:
        _grows(database, stream)

        if way == "crash":
            breakable.postgres.kill()
        else:
            breakable.postgres.stop()
        breakable.postgres.start()
        breakable.postgres.wait_ready()
        eventually(lambda: _answers(database), what="Postgres answers")
        _grows(database, stream)

    _all_jobs_once(database, stream)
    _all_events_in_order(platform, stream)
    assert worker.is_running()


def _answers(database: Database) -> bool:
    try:
        database.check()
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer yet
        return False
    return True


def test_without_redis_the_relay_polls_and_jobs_come_by_rabbitmq_and_with_it_again_by_their_ids(
    platform: AllSettings, database: Database, worker: Process, breakable: RealServers
) -> None:
    breakable.redis.stop()
    eventually(lambda: "ready_list_lost" in worker.log(), what="the worker has lost Redis")

    polled = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, polled, "succeeded")
    breakable.redis.start()
    breakable.redis.wait_ready()

    def comes_by_its_id() -> bool:
        (job_id,) = ids = jobs.enqueue(database, LeaveEffect())
        jobs.until_all(database, ids, "succeeded")
        return jobs.job(database, job_id)["published_at"] is None

    eventually(comes_by_its_id, seconds=40, what="the worker takes a job that was not published")
    assert jobs.effects(database, polled) == dict.fromkeys(polled, 1)


def test_a_consumer_reports_that_kafka_is_down_and_stops_cleanly_all_the_same(
    topics: AllSettings, processes: Processes, breakable: RealServers
) -> None:
    consumer = processes.consumer("audit")

    breakable.kafka.stop()
    eventually(lambda: consumer.says("/readyz", "Kafka does not answer"), what="readiness reports it")
    alive = consumer.get("/healthz").status_code

    assert alive == 200
    assert consumer.stop() == 0


def test_a_consumer_that_replaced_its_kafka_client_continues_to_read(
    platform: AllSettings, database: Database, processes: Processes, breakable: RealServers
) -> None:
    processes.relay()
    consumer = processes.consumer("audit", sabotage="rebuilds_soon")
    with steady_work(database) as before:
        eventually(lambda: before.events >= 3, what="some events")
    breakable.kafka.stop()
    eventually(lambda: "kafka_client_rebuilt" in consumer.log(), seconds=60, what="the client was replaced")
    breakable.kafka.start()
    breakable.kafka.wait_ready()

    with steady_work(database) as after:
        eventually(lambda: after.events >= 3, what="more events")

    written = f'total{{outcome="written",sink="audit"}} {before.events + after.events}.0'
    eventually(lambda: consumer.says("/metrics", written), seconds=60, what="all of them are written, once")
