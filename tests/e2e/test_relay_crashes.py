"""A relay that is killed between a broker's confirm and its own mark: sent twice, done once, and in order."""

from collections import defaultdict
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson

from moneyflow.events.user import UserActivated
from moneyflow.platform.database import Database
from moneyflow.platform.events.emit import emit
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.kafka_records import everything_in
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _emit(database: Database, users: list[UUID], *, first: int, count: int) -> None:
    """Emit `count` events for each user, numbered from `first`, a few in each transaction."""
    for sequence in range(first, first + count):
        with database.transaction() as session:
            for user_id in users:
                event = UserActivated(sequence=sequence, user_id=user_id, activated_at=datetime.now(UTC))
                emit(session, event)


def _waiting_events(settings: AllSettings) -> int:
    database = Database(settings.conninfo("relay", application_name="test"), size=1)
    database.open()
    with database.transaction() as session:
        rows = session.fetch_all("select 1 from outbox_events")
    database.close()
    return len(rows)


def _sequences(settings: AllSettings) -> tuple[dict[str, list[int]], int]:
    """Return each key's sequences in the order in which they first came, and how many records came in all."""
    records = everything_in(settings, "user.events")
    seen: set[str] = set()
    found: dict[str, list[int]] = defaultdict(list)
    for record in records:
        envelope = orjson.loads(record.value)
        assert record.key.decode() == envelope["subject"]
        if envelope["id"] not in seen:
            seen.add(envelope["id"])
            found[envelope["subject"]].append(int(envelope["sequence"]))
    return dict(found), len(records)


def test_jobs_whose_relay_dies_between_confirm_and_mark_are_sent_twice_and_run_once(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(10)])
    processes.relay(sabotage="dies_at:relay.confirmed:1", wait_ready=False).wait()
    after_death = (jobs.states(database, ids), rabbitmq_admin.ready(platform, "jobs"))

    processes.relay(wait_ready=False)
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 20, what="each message was sent twice")
    processes.worker(WORKER_THREADS="1")
    (last,) = jobs.enqueue(database, LeaveEffect(rank=0))  # One thread, and nothing comes after it.
    jobs.until_all(database, [*ids, last], "succeeded")

    assert after_death == ({"scheduled": 10}, 10)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_dead_letter_whose_relay_dies_before_it_deletes_the_row_is_sent_again(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    dying = processes.relay(sabotage="dies_at:relay.letters_confirmed:1", wait_ready=False)
    processes.worker()
    (job_id,) = jobs.enqueue(database, LeaveEffect(permanent=True))
    dying.wait()

    processes.relay(wait_ready=False)

    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 2, what="the dead letter was sent twice")
    dead_letters = rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs_failed")
    assert {dead_letter["properties"]["message_id"] for dead_letter in dead_letters} == {str(job_id)}


def test_events_whose_relay_dies_between_confirm_and_delete_come_twice_and_in_order(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    users = [uuid4() for _ in range(3)]
    _emit(database, users, first=1, count=10)
    processes.relay(sabotage="dies_at:relay.events_confirmed:1", wait_ready=False).wait()
    left = _waiting_events(platform)

    processes.relay(wait_ready=False)
    eventually(lambda: _waiting_events(platform) == 0, what="all events are with Kafka")

    found, records = _sequences(platform)
    assert left == 30
    assert records == 60
    assert found == {str(user_id): list(range(1, 11)) for user_id in users}


def test_events_keep_the_order_of_their_keys_through_relays_that_are_killed_at_any_moment(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    users = [uuid4() for _ in range(20)]

    for part in range(3):
        relay = processes.relay(wait_ready=False)
        _emit(database, users, first=1 + 50 * part, count=50)
        eventually(lambda: _waiting_events(platform) < 900, what="the relay is at work")
        relay.kill()
    processes.relay(wait_ready=False)
    eventually(lambda: _waiting_events(platform) == 0, what="all events are with Kafka")

    found, records = _sequences(platform)
    assert found == {str(user_id): list(range(1, 151)) for user_id in users}
    assert records >= 3000


def test_events_of_one_key_that_fill_many_batches_come_in_their_order_however_large_they_are(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    sizes = [100_000, 1, 900_000, 200_000, 1, 150_000, 300_000, 1]
    with database.transaction() as session:
        for size in sizes:
            session.execute(
                "insert into outbox_events (id, topic, key, value)"
                " values (gen_random_uuid(), 'user.events', 'k', %(v)s)",
                {"v": b"x" * size},
            )

    processes.relay(wait_ready=False)
    eventually(lambda: _waiting_events(platform) == 0, what="all events are with Kafka")

    assert [len(record.value) for record in everything_in(platform, "user.events")] == sizes
