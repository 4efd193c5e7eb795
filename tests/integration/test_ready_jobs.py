"""The names of jobs that are ready: told by whoever commits, on Redis; each is taken by one worker."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
import redis

from moneyflow.platform.brokers import notifier
from moneyflow.platform.brokers.notifier import Notifier, ReadyJobs
from moneyflow.platform.clock import now
from moneyflow.platform.database import Database, Work
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue, enqueue_many
from moneyflow.platform.settings import Settings
from tests.support.effects import LeaveEffect
from tests.support.kinds import Placed
from tests.support.waiting import eventually

_ALL = range(10, -1, -1)


@pytest.fixture
def ready(settings: Settings) -> Iterator[ReadyJobs]:
    jobs = ReadyJobs(settings)
    yield jobs
    jobs.close()


def _all(ready: ReadyJobs) -> list[tuple[int, UUID]]:
    found: list[tuple[int, UUID]] = []
    while names := ready.take(_ALL, most=100, wait_seconds=0.05):
        found += names
    return found


def test_what_is_committed_can_be_taken_by_its_name_the_highest_priority_first(
    database: Database, ready: ReadyJobs
) -> None:
    with database.transaction() as session:
        low = enqueue_many(session, [LeaveEffect(), LeaveEffect()], priority=2)
        high = enqueue_many(session, [LeaveEffect()], priority=9)
        assert _all(ready) == []

    assert ready.take(_ALL, most=100, wait_seconds=0.05) == [(9, high[0])]
    assert ready.take(range(10, 2, -1), most=100, wait_seconds=0.05) == []
    assert ready.take(_ALL, most=1, wait_seconds=0.05) == [(2, low[0])]
    assert _all(ready) == [(2, low[1])]


def test_a_worker_that_waits_gets_a_name_the_moment_it_comes(database: Database, ready: ReadyJobs) -> None:
    taken: list[tuple[int, UUID]] = []
    waiting = threading.Thread(target=lambda: taken.extend(ready.take(_ALL, most=4, wait_seconds=10)))
    waiting.start()
    with database.transaction() as session:
        job_id = enqueue(session, LeaveEffect())
    waiting.join(5)

    assert [name for _, name in taken] == [job_id]


def test_of_one_commit_the_highest_priority_goes_first_to_whoever_waits(database: Database, ready: ReadyJobs) -> None:
    taken: list[tuple[int, UUID]] = []
    waiting = threading.Thread(target=lambda: taken.extend(ready.take(_ALL, most=4, wait_seconds=10)))
    waiting.start()
    time.sleep(0.1)
    with database.transaction() as session:
        enqueue_many(session, [LeaveEffect()], priority=1)
        high = enqueue_many(session, [LeaveEffect()], priority=9)
    waiting.join(5)

    assert taken == [(9, high[0])]


def test_names_are_told_again_once_redis_has_forgotten_the_script(
    settings: Settings, database: Database, ready: ReadyJobs
) -> None:
    ids = []
    for _ in range(2):
        with database.transaction() as session:
            ids.append(enqueue(session, LeaveEffect()))
        notifier.connect(settings).script_flush()

    assert [job_id for _, job_id in _all(ready)] == ids


def test_what_was_put_back_is_the_next_to_be_taken(database: Database, ready: ReadyJobs) -> None:
    with database.transaction() as session:
        ids = enqueue_many(session, [LeaveEffect() for _ in range(4)], priority=5)
    names = ready.take(_ALL, most=3, wait_seconds=0.05)
    ready.put_back(names[1:])

    assert [job_id for _, job_id in _all(ready)] == ids[1:]


def test_jobs_that_cannot_begin_at_once_have_no_name(database: Database, ready: ReadyJobs) -> None:
    with database.transaction() as session:
        enqueue(session, LeaveEffect(), delay=timedelta(minutes=1))
        enqueue(session, LeaveEffect(), at=now() + timedelta(minutes=1))
        enqueue_many(session, [LeaveEffect()], waits_for_batch=True)
        enqueue(session, Placed(key="limited"))

    assert _all(ready) == []


def test_a_transaction_that_is_rolled_back_tells_nothing(database: Database, ready: ReadyJobs) -> None:
    with database.transaction() as session:
        enqueue(session, LeaveEffect())
        session.release()

    assert _all(ready) == []


def test_many_jobs_of_one_commit_are_left_to_the_relay(
    database: Database, ready: ReadyJobs, settings: Settings
) -> None:
    hints = _hints(settings)
    with database.transaction() as session:
        enqueue_many(session, [LeaveEffect() for _ in range(notifier._MOST_OF_ONE_COMMIT + 1)])

    assert _all(ready) == []
    assert b"jobs" in next(hints)


def test_names_that_nobody_takes_are_few_and_do_not_stay(
    settings: Settings, ready: ReadyJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    waker = Notifier(settings)
    for _ in range(notifier._MOST_KEPT // 50 + 2):
        waker(["ready"], [(5, new_id()) for _ in range(50)])
    assert len(ready.take(_ALL, most=1000, wait_seconds=0.05)) == notifier._MOST_KEPT

    monkeypatch.setattr(notifier, "_KEPT_MILLISECONDS", 50)
    waker(["ready"], [(5, new_id())])
    keys = notifier.connect(settings)
    eventually(lambda: not keys.exists(notifier._list(settings, 5)), what="the name is gone")


@pytest.mark.parametrize(
    ("work", "ready_jobs", "hint"),
    [
        (["jobs"], 0, {b"jobs"}),
        (["events", "jobs"], 0, {b"events", b"jobs"}),
        (["ready", "events"], 1, {b"ready", b"events"}),
    ],
)
def test_the_relay_hears_what_there_is_to_do(
    settings: Settings, work: list[Work], ready_jobs: int, hint: set[bytes]
) -> None:
    hints = _hints(settings)
    Notifier(settings)(work, [(5, new_id()) for _ in range(ready_jobs)])

    assert set(next(hints).split()) == hint


def _hints(settings: Settings) -> Iterator[bytes]:
    """Listen from now on, as the relay does."""
    subscription = redis.client.PubSub(notifier.connect(settings, patience_seconds=5).connection_pool)
    subscription.subscribe(notifier.channel(settings))
    messages = subscription.listen()
    next(messages)
    return (message["data"] for message in messages)
