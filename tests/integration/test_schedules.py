"""Schedules in Postgres: declared, ticked once by all relays, overlapping, missed, paused, resumed, run by hand."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, NotFoundError
from moneyflow.platform.jobs import ticks
from moneyflow.platform.jobs.schedules import Schedule, declare, registry
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect


@pytest.fixture(autouse=True)
def _only_ours() -> Iterator[None]:
    """Forget the product's schedules for the test, and the test's own afterwards."""
    before = dict(registry)
    registry.clear()
    yield
    registry.clear()
    registry.update(before)


@pytest.fixture
def relays(settings: AllSettings) -> Iterator[list[Database]]:
    """Return the connections of four relays."""
    databases = [Database(settings.conninfo("relay", application_name="test"), size=1) for _ in range(4)]
    for database in databases:
        database.open()
    yield databases
    for database in databases:
        database.close()


@pytest.fixture
def relay(relays: list[Database]) -> Database:
    return relays[0]


def _declare(relay: Database, **options: Any) -> None:
    """Declare the schedule `sweep` as code would, and let a relay that begins to lead see it."""
    registry.clear()
    usual: dict[str, Any] = {"name": "sweep", "cron": "*/10 * * * *", "job": LeaveEffect()}
    declare(Schedule(**usual | options))
    _lead(relay)


def _lead(relay: Database) -> None:
    with relay.transaction() as session:
        ticks.declare_all(session)


def _row(database: Database) -> DictRow:
    with database.transaction() as session:
        (row,) = ticks.listed(session)
    return row


def _pass(database: Database, *, hours: int) -> datetime:
    """Let the time pass since the next tick was due; return that tick. The keys of the ticks before are free by now."""
    with database.transaction() as session:
        session.execute("update jobs set unique_key = null")
        row = session.fetch_one(
            """
            update schedules
            set next_tick_at = date_trunc('hour', clock_timestamp() - make_interval(hours => %(hours)s))
            returning next_tick_at
            """,
            {"hours": hours},
        )
    assert row is not None
    tick: datetime = row["next_tick_at"]
    return tick


def _tick(relay: Database) -> list[UUID]:
    with relay.transaction() as session:
        return [job_id for name in ticks.due(session).names for job_id in ticks.tick(session, name)]


def test_a_new_schedule_ticks_next_from_now_and_not_before(relay: Database, database: Database) -> None:
    _declare(relay)

    row = _row(database)

    assert (row["cron"], row["time_zone"], row["kind"]) == ("*/10 * * * *", "UTC", "leave_effect")
    assert timedelta() < row["next_tick_at"] - jobs.now(database) <= timedelta(minutes=10)
    assert _tick(relay) == []


def test_a_due_tick_becomes_one_job_under_the_ticks_own_key(relay: Database, database: Database) -> None:
    _declare(relay, catch_up="latest", cron="0 * * * *")
    tick = _pass(database, hours=0)

    (job_id,) = _tick(relay)
    row, job = _row(database), jobs.job(database, job_id)

    assert job["unique_key"] == f"schedule:sweep:{tick:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert (job["state"], job["kind"]) == ("scheduled", "leave_effect")
    assert (row["last_tick_at"], row["last_job_id"]) == (tick, job_id)
    assert row["next_tick_at"] == tick + timedelta(hours=1)


def test_relays_that_ask_at_the_same_moment_enqueue_each_tick_once(relays: list[Database], database: Database) -> None:
    _declare(relays[0], catch_up="latest", cron="0 * * * *", overlap="allow")
    rounds, ids = 25, []

    def ask(relay: Database, ready: threading.Barrier) -> None:
        ready.wait()
        ids.extend(_tick(relay))

    for past in range(rounds):
        _pass(database, hours=past)
        ready = threading.Barrier(len(relays))
        threads = [threading.Thread(target=ask, args=(relay, ready)) for relay in relays]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with database.transaction() as session:
        rows = session.fetch_all("select id from jobs")
    assert len(rows) == rounds
    assert {row["id"] for row in rows} == set(ids)
    assert len(ids) == rounds


def test_a_tick_and_its_job_are_one_transaction(relay: Database, database: Database) -> None:
    _declare(relay, catch_up="latest")
    before = _pass(database, hours=1)

    with relay.transaction() as session:
        ids = ticks.tick(session, "sweep")
        session.release()  # As when the process dies here.

    assert len(ids) == 1
    assert jobs.states(database, ids) == {}
    assert _row(database)["next_tick_at"] == before
    assert len(_tick(relay)) == 1


@pytest.mark.parametrize(("overlap", "enqueued", "skipped"), [("skip", 0, 1), ("allow", 1, 0)])
@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "retrying"])
def test_while_the_job_before_has_not_ended_a_tick_is_skipped_or_not_as_declared(
    relay: Database, database: Database, overlap: str, state: str, enqueued: int, skipped: int
) -> None:
    _declare(relay, catch_up="latest", overlap=overlap)
    _pass(database, hours=1)
    (first,) = _tick(relay)
    jobs.change(database, first, state=state)
    _pass(database, hours=0)

    second = _tick(relay)

    row = _row(database)
    assert (len(second), row["skipped"]) == (enqueued, skipped)
    assert row["next_tick_at"] > jobs.now(database)
    assert row["last_job_id"] == (second or [first])[0]
    assert first not in second


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "discarded"])
def test_once_the_job_before_has_ended_in_whatever_way_the_next_tick_comes(
    relay: Database, database: Database, state: str
) -> None:
    _declare(relay, catch_up="latest")
    _pass(database, hours=1)
    (first,) = _tick(relay)
    jobs.change(database, first, state=state)
    _pass(database, hours=0)

    assert len(_tick(relay)) == 1


@pytest.mark.parametrize(("catch_up", "enqueued"), [("none", 0), ("latest", 1), ("all", 3)])
def test_what_was_missed_while_no_relay_ran_is_caught_up_as_declared(
    relay: Database, database: Database, catch_up: str, enqueued: int
) -> None:
    _declare(relay, catch_up=catch_up, overlap="allow", cron="0 * * * *", on_time_seconds=0.001)
    _pass(database, hours=2)

    ids = _tick(relay)

    keys = [jobs.job(database, job_id)["unique_key"] for job_id in ids]
    assert len(set(keys)) == enqueued
    assert keys == sorted(keys)
    assert _row(database)["missed"] == 3 - enqueued
    assert _tick(relay) == []


def test_a_restart_keeps_what_is_due_and_a_changed_cron_begins_from_now(relay: Database, database: Database) -> None:
    _declare(relay)
    due = _pass(database, hours=3)

    _lead(relay)
    kept = _row(database)["next_tick_at"]
    _declare(relay, cron="*/20 * * * *")
    changed = _row(database)

    assert kept == due
    assert changed["next_tick_at"] > jobs.now(database)
    assert changed["cron"] == "*/20 * * * *"


def test_a_schedule_that_no_code_declares_ticks_no_more_and_begins_from_now_when_it_is_back(
    relay: Database, database: Database
) -> None:
    _declare(relay, catch_up="all", overlap="allow")
    registry.clear()
    _lead(relay)
    removed = _row(database)
    _pass(database, hours=1)

    assert removed["removed_at"] is not None
    assert _tick(relay) == []

    _declare(relay, catch_up="all", overlap="allow")

    assert _row(database)["removed_at"] is None
    assert _tick(relay) == []


def test_a_paused_schedule_ticks_no_more_and_resumed_it_continues_from_now(relay: Database, database: Database) -> None:
    _declare(relay, catch_up="all", overlap="allow")
    with database.transaction() as session:
        ticks.pause(session, "sweep", by="ada", reason="the provider is down")
    paused = _row(database)
    _pass(database, hours=1)

    while_paused = _tick(relay)
    with database.transaction() as session:
        next_tick_at = ticks.resume(session, "sweep")

    assert (paused["paused_by"], paused["pause_reason"]) == ("ada", "the provider is down")
    assert while_paused == []
    assert _tick(relay) == []
    assert next_tick_at == _row(database)["next_tick_at"] > jobs.now(database)
    assert _row(database)["paused_at"] is None


def test_pausing_or_resuming_twice_is_reported(relay: Database, database: Database) -> None:
    _declare(relay)

    with database.transaction() as session:
        with pytest.raises(ConflictError, match="sweep is not paused"):
            ticks.resume(session, "sweep")
        ticks.pause(session, "sweep", by="ada", reason="first")
        with pytest.raises(ConflictError, match="sweep is paused already"):
            ticks.pause(session, "sweep", by="bob", reason="second")

    assert _row(database)["paused_by"] == "ada"


def test_a_run_by_hand_is_one_job_more_and_leaves_the_ticks_as_they_are(relay: Database, database: Database) -> None:
    _declare(relay)
    before = _row(database)["next_tick_at"]

    with database.transaction() as session:
        ids = {ticks.run(session, "sweep"), ticks.run(session, "sweep")}

    assert jobs.states(database, ids) == {"scheduled": 2}
    assert _row(database)["next_tick_at"] == before


def test_a_run_by_hand_that_has_not_ended_skips_the_next_tick(relay: Database, database: Database) -> None:
    _declare(relay, catch_up="latest", overlap="skip")
    with database.transaction() as session:
        by_hand = ticks.run(session, "sweep")
        ticks.run(session, "sweep")
    _pass(database, hours=0)

    assert _tick(relay) == []
    assert (_row(database)["last_job_id"], _row(database)["skipped"]) == (by_hand, 1)


@pytest.mark.parametrize("verb", ["run", "pause", "resume"])
def test_an_unknown_name_is_answered_with_what_was_probably_meant(
    relay: Database, database: Database, verb: str
) -> None:
    _declare(relay)
    options = {"by": "ada", "reason": "why"} if verb == "pause" else {}

    with pytest.raises(NotFoundError, match="no schedule swep; did you mean sweep"), database.transaction() as session:
        getattr(ticks, verb)(session, "swep", **options)


def test_a_schedule_that_no_relay_has_seen_yet_says_so(database: Database) -> None:
    declare(Schedule(name="sweep", cron="0 0 * * *", job=LeaveEffect()))

    with pytest.raises(NotFoundError, match="start a relay of this version"), database.transaction() as session:
        ticks.pause(session, "sweep", by="ada", reason="why")


@pytest.mark.parametrize("statement", ["delete from schedules", "insert into jobs (id) values (gen_random_uuid())"])
def test_the_relay_may_tick_and_declare_and_not_delete(settings: AllSettings, statement: str) -> None:
    expected = psycopg.errors.InsufficientPrivilege if "delete" in statement else psycopg.errors.NotNullViolation

    with psycopg.connect(settings.conninfo("relay", application_name="test")) as connection, pytest.raises(expected):
        connection.execute(statement)
