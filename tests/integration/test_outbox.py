"""Enqueue and emit: rows in the caller's transaction, or nothing."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from moneyflow.events.user import UserActivated
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database, Session
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.waiting import eventually

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _mail() -> SendEmail:
    return SendEmail(template="welcome", user_id=uuid4())


def _activated(sequence: int = 2) -> UserActivated:
    return UserActivated(sequence=sequence, user_id=UUID(int=5), activated_at=datetime.now(UTC))


def _count(owner: Database, table: str) -> int:
    with owner.transaction() as session:
        return len(session.fetch_all(f"select 1 from {table}"))


@pytest.fixture
def owner(settings: AllSettings) -> Iterator[Database]:
    """Return the database as the owner sees it, the outbox included."""
    database = Database(settings.conninfo("owner", application_name="test"), size=2)
    database.open()
    yield database
    database.close()


def test_a_job_is_there_with_its_contract_once_its_transaction_is_committed(database: Database) -> None:
    mail = SendEmail(template="activation", user_id=UUID(int=9))

    (job_id,) = jobs.enqueue(database, mail)

    row = jobs.job(database, job_id)
    assert {name: row[name] for name in ("kind", "version", "priority", "payload", "state", "attempt", "fence")} == {
        "kind": "send_email",
        "version": 1,
        "priority": 9,
        "payload": {"template": "activation", "user_id": str(UUID(int=9))},
        "state": "scheduled",
        "attempt": 0,
        "fence": 0,
    }
    assert (row["max_attempts"], row["time_limit_seconds"]) == (SendEmail.retry.attempts, SendEmail.time_limit_seconds)
    assert job_id.version == 7
    assert row["due_at"] <= datetime.now(UTC)


def test_a_transaction_that_is_rolled_back_leaves_no_job_no_event_and_wakes_no_process(
    settings: AllSettings, owner: Database
) -> None:
    woken: list[str] = []
    database = Database(
        settings.conninfo("worker", application_name="test"), size=1, notify=lambda *_: woken.append("now")
    )
    database.open()

    def work(*, fail: bool) -> None:
        with database.transaction() as session:
            enqueue(session, _mail())
            emit(session, _activated())
            if fail:
                raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        work(fail=True)
    after_rollback = (_count(owner, "jobs"), _count(owner, "outbox_events"), len(woken))
    work(fail=False)
    database.close()

    assert after_rollback == (0, 0, 0)
    assert (_count(owner, "jobs"), _count(owner, "outbox_events")) == (1, 1)
    assert woken == ["now"], "one commit wakes the relay once"


def test_a_unique_key_returns_the_first_job_also_when_that_is_done(database: Database) -> None:
    welcome = SendWelcome(user_id=uuid4())
    (first,) = jobs.enqueue(database, welcome)
    with database.transaction() as session:
        session.execute("update jobs set state = 'succeeded'")

    (second,) = jobs.enqueue(database, welcome)
    (other,) = jobs.enqueue(database, SendWelcome(user_id=uuid4()))

    assert second == first
    assert other != first
    assert jobs.states(database, [first]) == {"succeeded": 1}


def test_two_transactions_at_once_agree_on_the_first_job(database: Database) -> None:
    welcome = SendWelcome(user_id=uuid4())
    found: list[UUID] = []

    def second() -> None:
        found.extend(jobs.enqueue(database, welcome))

    with database.transaction() as session:
        first = enqueue(session, welcome)
        thread = threading.Thread(target=second)
        thread.start()
        eventually(lambda: _waits_for_a_lock(database), what="the second transaction waits for the first")
    thread.join(10)

    assert found == [first]


def test_when_the_first_transaction_is_rolled_back_the_second_makes_the_job(database: Database) -> None:
    welcome = SendWelcome(user_id=uuid4())
    found: list[UUID] = []
    thread = threading.Thread(target=lambda: found.extend(jobs.enqueue(database, welcome)))

    with database.transaction() as session:
        first = enqueue(session, welcome)
        thread.start()
        eventually(lambda: _waits_for_a_lock(database), what="the second transaction waits for the first")
        session.release()
    thread.join(10)

    assert found != [first]
    assert jobs.states(database, found) == {"scheduled": 1}


def _waits_for_a_lock(database: Database) -> bool:
    with database.transaction() as session:
        return bool(session.fetch_all("select 1 from pg_stat_activity where wait_event_type = 'Lock'"))


@pytest.mark.parametrize("way", ["at", "delay"])
def test_a_job_can_wait_for_its_time(way: str, database: Database) -> None:
    an_hour = timedelta(hours=1)
    when = {"delay": an_hour} if way == "delay" else {"at": datetime.now(timezone(timedelta(hours=5))) + an_hour}

    with database.transaction() as session:
        job_id = enqueue(session, _mail(), **when)

    wait = jobs.job(database, job_id)["due_at"] - datetime.now(UTC)
    assert timedelta(minutes=59) < wait <= an_hour


def test_a_moment_without_a_time_zone_and_two_moments_are_refused(database: Database) -> None:
    naive = datetime.now(UTC).replace(tzinfo=None)
    with database.transaction() as session:
        with pytest.raises(ValueError, match="with a time zone"):
            enqueue(session, _mail(), at=naive)
        with pytest.raises(ValueError, match="either"):
            enqueue(session, _mail(), at=datetime.now(UTC), delay=timedelta(seconds=1))

        assert session.fetch_all("select 1 from jobs") == []


def test_who_asked_travels_with_the_job_and_the_event(database: Database, owner: Database) -> None:
    with working_for(Origin(correlation_id="request-1", traceparent=_TRACE, actor_id=str(UUID(int=7)))):
        (job_id,) = jobs.enqueue(database, _mail())
        with database.transaction() as session:
            event_id = emit(session, _activated())

    row = jobs.job(database, job_id)
    envelope = _events(owner)[0]
    assert row["correlation_id"] == envelope["correlationid"] == "request-1"
    assert row["traceparent"][:35] == _TRACE[:35]
    assert row["traceparent"] != _TRACE
    assert (envelope["id"], envelope["actorid"], envelope["sequence"]) == (str(event_id), str(UUID(int=7)), "2")
    assert row["owner_id"] == UUID(int=7)


def test_events_of_one_aggregate_are_in_the_order_of_their_commits(database: Database, owner: Database) -> None:
    jobs.enqueue(database, SendWelcome(user_id=UUID(int=5)))

    def change(part: int) -> None:
        for _ in range(10):
            with database.transaction() as session:
                emit(session, _activated(sequence=_next_sequence(session)))

    threads = [threading.Thread(target=change, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [int(event["sequence"]) for event in _events(owner)] == list(range(1, 41))


def _next_sequence(session: Session) -> int:
    """Change the aggregate, for which a job's row stands here, and return its new version."""
    row = session.fetch_one("update jobs set fence = fence + 1 returning fence")
    assert row is not None
    return int(row["fence"])


def _events(owner: Database) -> list[dict[str, Any]]:
    with owner.transaction() as session:
        rows = session.fetch_all("select topic, key, value from outbox_events order by sequence")
    assert Counter((row["topic"], row["key"]) for row in rows).keys() == {("user.events", str(UUID(int=5)))}
    return [orjson.loads(row["value"]) for row in rows]
