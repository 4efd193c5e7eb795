"""The ready list: ids of jobs on Redis, sent after the commit; each is taken by one worker."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import takewhile
from uuid import UUID

import pytest
import redis

from moneyflow.platform.brokers import notifier
from moneyflow.platform.brokers import redis as own_redis
from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.brokers.ready_list import ReadyList
from moneyflow.platform.clock import now
from moneyflow.platform.database import Database, Notification
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue, enqueue_many
from moneyflow.settings import AllSettings
from tests.support.effects import LeaveEffect
from tests.support.kinds import Placed
from tests.support.waiting import eventually

_ALL = range(10, -1, -1)


#: Longer than any test takes: that ids do not stay has a test of its own.
_KEPT_MILLISECONDS = 600_000


@pytest.fixture
def database(settings: AllSettings) -> Iterator[Database]:
    """Return this test's database, whose ids of ready jobs stay."""
    notifier = Notifier(settings, kept_milliseconds=_KEPT_MILLISECONDS)
    database = Database(settings.conninfo("worker", application_name="test"), size=2, notify=notifier)
    database.open()
    yield database
    database.close()


@pytest.fixture
def ready(settings: AllSettings) -> Iterator[ReadyList]:
    jobs = ReadyList(settings, kept_milliseconds=_KEPT_MILLISECONDS)
    yield jobs
    jobs.close()


def _all(ready: ReadyList) -> list[tuple[int, UUID]]:
    found: list[tuple[int, UUID]] = []
    while ids := ready.take(_ALL, most=100, wait_seconds=0.05):
        found += ids
    return found


def test_a_committed_job_can_be_taken_by_its_id_the_highest_priority_first(
    database: Database, ready: ReadyList
) -> None:
    with database.transaction() as session:
        low = enqueue_many(session, [LeaveEffect(), LeaveEffect()], priority=2)
        high = enqueue_many(session, [LeaveEffect()], priority=9)
        assert _all(ready) == []

    assert ready.take(_ALL, most=100, wait_seconds=0.05) == [(9, high[0])]
    assert ready.take(range(10, 2, -1), most=100, wait_seconds=0.05) == []
    assert ready.take(_ALL, most=1, wait_seconds=0.05) == [(2, low[0])]
    assert _all(ready) == [(2, low[1])]


def test_a_worker_that_waits_gets_an_id_the_moment_it_comes(database: Database, ready: ReadyList) -> None:
    taken: list[tuple[int, UUID]] = []
    waiting = threading.Thread(target=lambda: taken.extend(ready.take(_ALL, most=4, wait_seconds=10)))
    waiting.start()
    with database.transaction() as session:
        job_id = enqueue(session, LeaveEffect())
    waiting.join(5)

    assert [id_ for _, id_ in taken] == [job_id]


def test_of_one_commit_a_worker_that_waits_gets_the_highest_priority_first(
    database: Database, ready: ReadyList
) -> None:
    taken: list[tuple[int, UUID]] = []

    def take() -> None:
        taken.extend(ready.take(_ALL, most=4, wait_seconds=10))

    expected: list[tuple[int, UUID]] = []
    for _ in range(10):  # Whether the worker waits already when the ids come, differs.
        waiting = threading.Thread(target=take)
        waiting.start()
        with database.transaction() as session:
            (low,) = enqueue_many(session, [LeaveEffect()], priority=1)
            (high,) = enqueue_many(session, [LeaveEffect()], priority=9)
        waiting.join(5)
        take()
        expected += [(9, high), (1, low)]

    assert taken == expected


def test_ids_are_sent_again_after_redis_has_lost_the_script(
    settings: AllSettings, database: Database, ready: ReadyList
) -> None:
    ids = []
    for _ in range(2):
        with database.transaction() as session:
            ids.append(enqueue(session, LeaveEffect()))
        own_redis.connect(settings).script_flush()

    assert [job_id for _, job_id in _all(ready)] == ids


def test_what_was_put_back_is_the_next_to_be_taken(database: Database, ready: ReadyList) -> None:
    with database.transaction() as session:
        ids = enqueue_many(session, [LeaveEffect() for _ in range(4)], priority=5)
    taken = ready.take(_ALL, most=3, wait_seconds=0.05)
    ready.put_back(taken[1:])

    assert [job_id for _, job_id in _all(ready)] == ids[1:]


def test_jobs_that_cannot_start_at_once_are_not_on_the_list(database: Database, ready: ReadyList) -> None:
    with database.transaction() as session:
        enqueue(session, LeaveEffect(), delay=timedelta(minutes=1))
        enqueue(session, LeaveEffect(), at=now() + timedelta(minutes=1))
        enqueue_many(session, [LeaveEffect()], waits_for_batch=True)
        enqueue(session, Placed(key="limited"))

    assert _all(ready) == []


def test_a_transaction_that_is_rolled_back_notifies_of_nothing(database: Database, ready: ReadyList) -> None:
    with database.transaction() as session:
        enqueue(session, LeaveEffect())
        session.release()

    assert _all(ready) == []


def test_many_jobs_of_one_commit_are_left_to_the_relay(
    database: Database, ready: ReadyList, settings: AllSettings
) -> None:
    notifications = _notifications(settings)
    with database.transaction() as session:
        enqueue_many(session, [LeaveEffect() for _ in range(notifier._MOST_OF_ONE_COMMIT + 1)])

    assert _all(ready) == []
    assert b"jobs" in next(notifications)


def test_ids_that_no_worker_takes_are_few_and_expire(settings: AllSettings, ready: ReadyList) -> None:
    notify = Notifier(settings, kept_milliseconds=_KEPT_MILLISECONDS)
    for _ in range(notifier._MOST_KEPT // 50 + 2):
        notify(["ready"], [(5, new_id()) for _ in range(50)])
    assert len(ready.take(_ALL, most=1000, wait_seconds=0.05)) == notifier._MOST_KEPT

    Notifier(settings, kept_milliseconds=50)(["ready"], [(5, new_id())])
    keys = own_redis.connect(settings)
    eventually(lambda: not keys.exists(own_redis.ready_list(settings, 5)), what="the id expired")


@pytest.mark.parametrize(
    ("sent", "ready_jobs", "received"),
    [
        (["jobs"], 0, {b"jobs"}),
        (["events", "jobs"], 0, {b"events", b"jobs"}),
        (["ready", "events"], 1, {b"ready", b"events"}),
    ],
)
def test_the_relay_is_notified_of_jobs_and_of_events(
    settings: AllSettings, sent: list[Notification], ready_jobs: int, received: set[bytes]
) -> None:
    notifications = _notifications(settings)
    Notifier(settings)(sent, [(5, new_id()) for _ in range(ready_jobs)])

    assert set(next(notifications).split()) == received


def test_gathered_events_are_notified_of_after_the_last_commit_and_jobs_at_once(settings: AllSettings) -> None:
    notifications, sent = _notifications(settings), Notifier(settings, gather_events=True)
    for _ in range(200):
        sent(["events"], ())
    time.sleep(0.1)
    sent(["events", "jobs"], ())  # The last one, which ends the test.

    received = [set(one.split()) for one in takewhile(lambda one: b"jobs" not in one, notifications)]
    assert received == [{b"events"}] * len(received)
    assert 1 <= len(received) < 100
    sent(["events"], ())
    assert next(notifications) == b"events", "the thread still runs"


def _notifications(settings: AllSettings) -> Iterator[bytes]:
    """Listen from now on, as the relay does."""
    subscription = redis.client.PubSub(own_redis.connect(settings, timeout_seconds=5).connection_pool)
    subscription.subscribe(own_redis.channel(settings))
    messages = subscription.listen()  # type: ignore[no-untyped-call]
    next(messages)
    return (message["data"] for message in messages)
