"""`jobs_failed` itself: looked at in its order, dead letters removed from its middle, raw bytes moved with confirms."""

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.brokers.failed_queue import FailedQueue
from moneyflow.platform.database import Database
from moneyflow.platform.errors import BusyError, UnavailableError
from moneyflow.platform.jobs.failed import refused_messages
from moneyflow.platform.jobs.failed.dead_letters import job_id, sweep
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.settings import AllSettings
from tests.support import rabbitmq_admin, unreadable_headers
from tests.support.failures import deliver_dead_letters, fail_jobs
from tests.support.kombu_connection import kombu_connection
from tests.support.servers import RealServers

ROLE = "operator"


@pytest.fixture
def queue(queues: AllSettings) -> Iterator[FailedQueue]:
    with FailedQueue(queues) as opened:
        yield opened


def _all(queue: FailedQueue) -> list[FailedMessage]:
    with queue.browse() as batches:
        return [dead_letter for batch in batches for dead_letter in batch]


def _write(
    settings: AllSettings, *bodies: bytes, headers: dict[str, object] | None = None, **properties: object
) -> None:
    """Publish to `jobs_failed` as a foreign tool does."""
    with kombu_connection(settings) as connection:
        channel = connection.channel()
        for body in bodies:
            channel.basic_publish(
                channel.prepare_message(body, headers=headers, properties=properties), "jobs.dead", "jobs"
            )


def test_looking_changes_neither_number_nor_order(queue: FailedQueue, queues: AllSettings) -> None:
    bodies = [b"message %d" % number for number in range(2500)]
    _write(queues, *bodies)

    first, second = _all(queue), _all(queue)

    assert [dead_letter.body for dead_letter in first] == bodies
    assert [dead_letter.body for dead_letter in second] == bodies
    assert queue.depth() == 2500


def test_a_look_that_is_left_early_gives_back_everything(queue: FailedQueue, queues: AllSettings) -> None:
    bodies = [b"message %d" % number for number in range(1500)]
    _write(queues, *bodies)

    with queue.browse() as batches:
        next(batches)

    assert [dead_letter.body for dead_letter in _all(queue)] == bodies


def test_what_is_removed_is_deleted_and_the_others_stay_in_their_order(queue: FailedQueue, queues: AllSettings) -> None:
    bodies = [b"%d" % number for number in range(2100)]
    _write(queues, *bodies)

    with queue.browse() as batches:
        for batch in batches:
            queue.remove(dead_letter for dead_letter in batch if int(dead_letter.body) % 3 == 0)

    assert [int(dead_letter.body) for dead_letter in _all(queue)] == [n for n in range(2100) if n % 3]


def test_what_comes_in_during_a_look_is_not_part_of_it(queue: FailedQueue, queues: AllSettings) -> None:
    _write(queues, b"before")

    with queue.browse() as batches:
        first = next(batches)
        _write(queues, b"meanwhile")
        more = list(batches)

    assert [dead_letter.body for dead_letter in first] == [b"before"]
    assert more == []
    assert [dead_letter.body for dead_letter in _all(queue)] == [b"before", b"meanwhile"]


def test_an_empty_queue_is_looked_through_at_once(queue: FailedQueue) -> None:
    assert _all(queue) == []


def test_a_second_look_waits_for_the_first_and_in_the_end_says_who_is_in_the_way(
    queue: FailedQueue, queues: AllSettings
) -> None:
    _write(queues, b"a message")

    with queue.browse() as batches, FailedQueue(queues, busy_wait_seconds=0.5) as other:
        next(batches)
        with pytest.raises(BusyError, match="another operator or a shovel"):
            _all(other)

    assert [dead_letter.body for dead_letter in _all(queue)] == [b"a message"]


def test_bytes_and_properties_are_moved_as_they_are_but_for_the_record_of_the_death(
    queue: FailedQueue, queues: AllSettings, servers: RealServers
) -> None:
    raw = b"\xff\x00 no text \xc3\x28"
    properties = {
        "message_id": "one", "type": "send_email", "priority": 7, "delivery_mode": 2, "timestamp": 1_700_000_000,
        "content_type": "text/plain", "content_encoding": "utf-8", "correlation_id": "c", "app_id": "other",
        "application_headers": {"compression": "application/x-gzip", "x-mine": 3, "x-death": [{"count": 1}]},
    }  # fmt: skip
    with kombu_connection(queues) as connection:
        channel = connection.channel()
        own = {name: properties.pop(name) for name in ("priority", "content_type", "content_encoding")}
        headers = properties.pop("application_headers")
        message = channel.prepare_message(raw, headers=headers, properties=properties, **own)
        channel.basic_publish(message, "jobs.dead", "jobs")

    with queue.browse() as batches:
        (dead_letter,) = next(batches)
        queue.publish(dead_letter, exchange="jobs", routing_key="jobs")
        queue.remove([dead_letter])

    moved = rabbitmq_admin.take_messages(servers, queues.rabbitmq_vhost, "jobs")
    (found,) = moved
    kept = found["properties"]
    assert kept.pop("headers") == {"compression": "application/x-gzip", "x-mine": 3}
    assert kept == {**properties, **own}
    assert dead_letter.body == raw
    assert found["payload_bytes"] == len(raw)
    assert queue.depth() == 0


def test_a_message_survives_being_kept_as_json(queue: FailedQueue, queues: AllSettings) -> None:
    _write(
        queues,
        b"\xff\x00",
        message_id="one",
        type="other",
        headers={"x-when": datetime(2026, 1, 2, tzinfo=UTC)},
    )
    (message,) = _all(queue)

    again = FailedMessage.from_json(message.as_json())

    assert (again.body, again.properties, again.fingerprint) == (
        message.body,
        message.properties,
        message.fingerprint,
    )
    assert again.headers == {"x-when": "2026-01-02T00:00:00Z"}


def test_a_message_that_no_queue_takes_is_reported(
    queue: FailedQueue, queues: AllSettings, servers: RealServers
) -> None:
    _write(queues, b"a message")
    rabbitmq_admin.delete_queue(servers, queues.rabbitmq_vhost, "jobs")

    with queue.browse() as batches:
        (dead_letter,) = next(batches)
        with pytest.raises(UnavailableError, match="no queue bound to the exchange 'jobs'"):
            queue.publish(dead_letter, exchange="jobs", routing_key="jobs")

    assert queue.depth() == 1


def test_a_broker_that_is_down_is_reported(queues: AllSettings) -> None:
    down = queues.model_copy(update={"rabbitmq_port": 1})

    with pytest.raises(UnavailableError, match="RabbitMQ"), FailedQueue(down):
        pass


def test_a_sweep_removes_stale_dead_letters_and_nothing_else(
    queue: FailedQueue, queues: AllSettings, database: Database
) -> None:
    ids = fail_jobs(database, 6, dead_letters=True)
    deliver_dead_letters(queues)
    _write(queues, b"no dead letter")
    changes = (
        "state = 'scheduled', fence = fence + 1",
        "state = 'discarded'",
        "fence = fence + 2",
        "fence = fence - 1",
    )
    with database.transaction() as session:
        for job, change in zip(ids, changes, strict=False):
            session.execute(f"update jobs set {change} where id = %(id)s", {"id": job})
        session.execute("delete from jobs where id = %(id)s", {"id": ids[4]})

    swept = sweep(database, queue)
    again = sweep(database, queue)

    assert (swept.removed, swept.left, swept.refused) == (3, 2, 2)
    assert (again.removed, again.left, again.refused) == (0, 2, 2)
    assert [job_id(dead_letter) for dead_letter in _all(queue)] == [ids[3], ids[4], ids[5], None]


@pytest.mark.parametrize("field", unreadable_headers.TAKEN.values(), ids=unreadable_headers.TAKEN)
def test_a_message_whose_headers_no_client_could_read_is_read_swept_past_moved_and_restored(
    field: bytes, queue: FailedQueue, queues: AllSettings, database: Database
) -> None:
    unreadable_headers.publish(queues, "jobs_failed", b"forged", field)
    _write(queues, b"good")

    forged, good = _all(queue)
    swept = sweep(database, queue)
    found = refused_messages.find(database, queue, Filter())
    kept = FailedMessage.from_json(orjson.loads(orjson.dumps(forged.as_json())))
    with queue.browse() as batches:
        queue.move_to_jobs(next(batches)[0])
    queue.put_back(kept)

    assert (forged.body, good.body, forged.fence) == (b"forged", b"good", None)
    assert (swept.removed, swept.refused) == (0, 2)
    assert [one.message.body for one in found] == [b"forged", b"good"]
    assert [one.body for one in _all(queue)] == [b"good", b"forged"]
    assert rabbitmq_admin.ready(queues, "jobs") == 1
