"""Retention: expired rows are deleted in batches; rows that are still needed, or locked, stay."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

import orjson
import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic import ConfigDict

from moneyflow import retention
from moneyflow.platform.database import Database
from moneyflow.platform.ids import first_id, new_id
from moneyflow.platform.jobs.contract import Job, registry
from moneyflow.platform.jobs.limits import Limit, Rate
from moneyflow.platform.jobs.policy import Unique
from moneyflow.platform.jobs.retention import JOBS
from moneyflow.platform.jobs.store.claims import claim
from moneyflow.platform.retention import BATCH_ROWS, Rule, declare
from moneyflow.settings import AllSettings
from tests.support import jobs, people
from tests.support.effects import LeaveEffect
from tests.support.store_worker import store_worker
from tests.support.waiting import eventually
from workers.relay.limits import Admission

Purge = Callable[..., dict[str, Any]]


class Keyed(Job, kind="keyed"):
    """A job whose key is taken for as long as the job is known."""

    name: str

    def unique_key(self) -> str:
        return f"keyed:{self.name}"


class KeyedForAnHour(Keyed, kind="keyed_for_an_hour", unique=Unique(for_seconds=3600)):
    model_config = ConfigDict(title="its key is free long before it is purged")


class KeyedWhileUnfinished(Keyed, kind="keyed_while_unfinished", unique=Unique(while_unfinished=True)):
    model_config = ConfigDict(title="its key is free once it has ended")


@pytest.fixture
def purge(settings: AllSettings, database: Database) -> Purge:
    """Return a purge with the default settings: 7 days for jobs, 30 for discarded ones."""

    def run(limit: int = BATCH_ROWS, **options: Any) -> dict[str, Any]:
        with database.transaction() as session:
            return retention.purge(session, settings, seconds=30, limit=limit, **options)

    return run


def _age(database: Database, ids: list[UUID], *, days: float, state: str = "succeeded") -> list[UUID]:
    """Make jobs as old as if they had been enqueued and ended that many days ago; return their new ids."""
    with database.transaction() as session:
        fresh = {job_id: _id_of(timedelta(days=days, hours=1)) for job_id in ids}
        for job_id, old in fresh.items():
            session.execute(
                f"update jobs set id = %(old)s, {jobs.shown_as(state)}, finished_at = clock_timestamp() - %(age)s, "
                "unique_until = unique_until - %(age)s where id = %(id)s",
                {"id": job_id, "old": old, "age": timedelta(days=days)},
            )
    return list(fresh.values())


def _id_of(age: timedelta) -> UUID:
    """Return an id as one was made that long ago."""
    return UUID(int=first_id(datetime.now(UTC) - age).int | new_id().int & (1 << 80) - 1)


def _old(database: Database, *made: Job, days: float, state: str = "succeeded") -> list[UUID]:
    return _age(database, jobs.enqueue(database, *made), days=days, state=state)


def _left(database: Database, ids: list[UUID]) -> int:
    return jobs.states(database, ids).total()


def _count(database: Database, query: LiteralString) -> int:
    with database.transaction() as session:
        row = session.fetch_one(query)
    assert row is not None
    return int(row["count"])


@pytest.fixture
def do(settings: AllSettings) -> Callable[..., None]:
    def run(statement: LiteralString, **parameters: Any) -> None:
        with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
            connection.execute(statement, parameters)

    return run


@pytest.mark.parametrize(
    ("state", "days", "left"),
    [
        ("succeeded", 6.9, 1),
        ("succeeded", 7.1, 0),
        ("cancelled", 6.9, 1),
        ("cancelled", 7.1, 0),
        ("discarded", 7.1, 1),
        ("discarded", 29.9, 1),
        ("discarded", 30.1, 0),
        ("failed", 3650, 1),
        ("scheduled", 3650, 1),
        ("queued", 3650, 1),
        ("running", 3650, 1),
        ("retrying", 3650, 1),
    ],
)
def test_a_job_is_deleted_when_it_has_ended_long_enough_ago_and_needs_no_decision(
    purge: Purge, database: Database, state: str, days: float, left: int
) -> None:
    ids = _old(database, LeaveEffect(), days=days, state=state)

    deleted = purge()

    assert _left(database, ids) == left
    assert (deleted["jobs"], deleted["done"]) == (1 - left, True)


@pytest.mark.parametrize(("discarded_days_ago", "left"), [(29, 1), (31, 0)])
def test_a_job_that_failed_long_ago_can_be_restored_for_as_long_as_any_other_after_it_was_discarded(
    purge: Purge, database: Database, do: Callable[..., None], discarded_days_ago: int, left: int
) -> None:
    (job_id,) = _old(database, LeaveEffect(), days=400, state="discarded")
    operation = new_id()
    do(
        "insert into operations (id, verb, sources, asked_by, filter) "
        "values (%(id)s, 'discard', '{jobs}', 'ada', '{}')",
        id=operation,
    )
    do(
        "insert into operation_items (operation_id, position, source, item_id, guard, result, done_at) values "
        "(%(operation)s, 1, 'jobs', %(job)s, '1', 'discarded', clock_timestamp() - make_interval(days => %(days)s))",
        operation=operation,
        job=job_id,
        days=discarded_days_ago,
    )

    purge()

    assert _left(database, [job_id]) == left


def test_a_job_that_waited_for_years_is_kept_from_its_end_and_not_from_its_enqueuing(
    purge: Purge, database: Database, do: Callable[..., None]
) -> None:
    (job_id,) = _old(database, LeaveEffect(), days=3650)
    do("update jobs set finished_at = clock_timestamp()")

    purge()

    assert _left(database, [job_id]) == 1


def test_a_jobs_attempts_are_deleted_with_it(purge: Purge, database: Database, do: Callable[..., None]) -> None:
    old, kept = _old(database, LeaveEffect(), days=8) + _old(database, LeaveEffect(), days=1)
    for job_id in (old, kept):
        do(
            "insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome) "
            "values (%(id)s, 1, 1, 'w', now(), 'succeeded')",
            id=job_id,
        )

    purge()

    assert (jobs.attempts(database, old), len(jobs.attempts(database, kept))) == ([], 1)


@pytest.mark.parametrize(("contract", "left"), [(Keyed, 1), (KeyedForAnHour, 0), (KeyedWhileUnfinished, 0)])
def test_a_job_stays_while_it_holds_a_key_so_that_no_second_one_is_enqueued(
    purge: Purge, database: Database, contract: type[Keyed], left: int
) -> None:
    ids = _old(database, contract(name="ada"), days=400)

    purge()

    assert _left(database, ids) == left
    (again,) = jobs.enqueue(database, contract(name="ada"))
    assert (again in ids) == bool(left)


def test_the_jobs_of_a_batch_stay_until_it_has_ended_and_it_is_deleted_after_them(
    purge: Purge, database: Database, do: Callable[..., None]
) -> None:
    open_batch, ended = uuid4(), uuid4()
    for batch, state in ((open_batch, "open"), (ended, "ended")):
        do(
            "insert into batches (id, name, on_failure, state, ended_at) "
            "values (%(id)s, 'b', 'continue', %(state)s, clock_timestamp() - interval '8 days')",
            id=batch,
            state=state,
        )
    of_the_open, of_the_ended = _old(database, LeaveEffect(), LeaveEffect(), days=8)
    for job_id, batch in ((of_the_open, open_batch), (of_the_ended, ended)):
        do("update jobs set batch_id = %(batch)s where id = %(id)s", batch=batch, id=job_id)

    deleted = purge()

    assert (_left(database, [of_the_open]), _left(database, [of_the_ended])) == (1, 0)
    assert deleted["batches"] == 1
    assert _count(database, "select count(*) from batches where state = 'open'") == 1


def test_many_are_deleted_batch_by_batch_past_all_that_stay(purge: Purge, database: Database) -> None:
    failed = _old(database, *[LeaveEffect() for _ in range(35)], days=20, state="failed")
    expired = _old(database, *[LeaveEffect() for _ in range(35)], days=10)

    deleted = purge(limit=10)

    assert (deleted["jobs"], deleted["done"]) == (35, True)
    assert (_left(database, expired), _left(database, failed)) == (0, 35)


def test_a_purge_that_runs_out_of_time_keeps_its_batches_and_the_next_one_continues(
    purge: Purge, database: Database
) -> None:
    expired = _old(database, *[LeaveEffect() for _ in range(35)], days=10)
    moments = iter([0, 1, 2, 99])

    first = purge(limit=10, rules=[JOBS], clock=lambda: next(moments, 99))
    second = purge(limit=10)

    assert (first["jobs"], first["done"]) == (20, False)
    assert (second["jobs"], second["done"]) == (15, True)
    assert _left(database, expired) == 0


def test_every_table_has_one_rule_and_a_second_one_is_refused(purge: Purge) -> None:
    assert purge().keys() == {
        "jobs", "batches", "schedules", "users", "user_tokens", "mail_suppressions", "sent_mails", "email_changes",
        "idempotency_keys", "crm.contacts", "transactions", "payment_webhooks", "files", "exports", "imports",
        "event_dead_letters", "system_event_repeats", "analytics.counted", "done",
    }  # fmt: skip
    with pytest.raises(ValueError, match="table jobs has a retention rule already"):
        declare(Rule(table="jobs", query="delete from jobs"))


def test_a_locked_row_is_left_to_the_next_run_and_delays_no_other(purge: Purge, database: Database) -> None:
    locked, free = _old(database, LeaveEffect(), LeaveEffect(), days=10)

    with database.transaction() as session:
        session.execute("select from jobs where id = %(id)s for update", {"id": locked})
        while_locked = purge()

    assert while_locked["jobs"] == 1
    assert (_left(database, [locked]), _left(database, [free])) == (1, 0)
    assert purge()["jobs"] == 1


def test_claims_do_not_wait_for_a_batch_that_is_being_deleted(settings: AllSettings, database: Database) -> None:
    over = _old(database, *[LeaveEffect() for _ in range(50)], days=10)
    waiting = jobs.enqueue(database, LeaveEffect())
    purging, claimed = threading.Event(), threading.Event()

    def hold_a_batch() -> None:
        with database.transaction() as session:
            commit = session.commit

            def commit_later() -> None:
                purging.set()
                claimed.wait(20)
                commit()

            session.commit = commit_later  # type: ignore[method-assign]
            retention.purge(session, settings, seconds=30)

    thread = threading.Thread(target=hold_a_batch)
    thread.start()
    purging.wait(20)
    with store_worker(settings) as worker:
        claimed_jobs = claim(worker.connection, [*over, *waiting], worker=worker.number)
        claimed.set()
    thread.join()

    assert [claim.id for claim in claimed_jobs] == waiting
    assert _left(database, over) == 0


def test_expired_tokens_are_deleted_used_or_not(purge: Purge, database: Database, do: Callable[..., None]) -> None:
    person = people.sign_up(database, name="Ada")
    for number, (hours, used) in enumerate([(-1, True), (-1, False), (1, True), (1, False)]):
        do(
            "insert into user_tokens (token_hash, user_id, purpose, expires_at, used_at) values "
            "(%(hash)s, %(user)s, 'x', clock_timestamp() + make_interval(hours => %(hours)s), "
            "case when %(used)s then now() end)",
            hash=bytes([number]),
            user=person.user_id,
            hours=hours,
            used=used,
        )

    assert purge()["user_tokens"] == 2
    assert _count(database, "select count(*) from user_tokens where purpose = 'x'") == 2


def test_an_account_that_is_not_activated_in_time_is_deleted_with_its_event_and_no_other(
    purge: Purge, settings: AllSettings, database: Database, do: Callable[..., None]
) -> None:
    expired, young, active, linked = (people.sign_up(database, name=name) for name in ("Ada", "Bob", "Cleo", "Dan"))
    age = "update users set created_at = clock_timestamp() - make_interval(days => %(days)s) where id = %(id)s"
    for person, days in ((expired, 8), (young, 6), (active, 400), (linked, 8)):
        do(age, id=person.user_id, days=days)
    do("update users set activated_at = now() where id = %(id)s", id=active.user_id)
    do(
        "insert into user_tokens (token_hash, user_id, purpose, expires_at) values "
        "('x', %(id)s, 'activation', clock_timestamp() + interval '1 hour')",
        id=linked.user_id,
    )

    deleted = purge()

    with database.transaction() as session:
        left = {row["id"] for row in session.fetch_all("select id from users")}
    assert (deleted["users"], left) == (1, {young.user_id, active.user_id, linked.user_id})
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        rows = connection.execute(
            "select key, value from outbox_events where key = %s order by sequence", [str(expired.user_id)]
        ).fetchall()
    events = [orjson.loads(value) for _, value in rows]
    assert [(event["type"], event["sequence"]) for event in events] == [("user.created", "1"), ("user.deleted", "2")]


def test_a_first_answer_is_kept_for_two_days(purge: Purge, database: Database, do: Callable[..., None]) -> None:
    for hours in (47, 49):
        do(
            "insert into idempotency_keys values ('s', %(key)s, '', 202, '{}', '', "
            "clock_timestamp() - make_interval(hours => %(hours)s))",
            key=str(hours),
            hours=hours,
        )

    assert purge()["idempotency_keys"] == 1
    assert _count(database, "select count(*) from idempotency_keys where key = '47'") == 1


def test_counts_of_processes_that_have_not_reported_for_a_day_are_deleted(
    purge: Purge, database: Database, do: Callable[..., None]
) -> None:
    for hours in (23, 25):
        do(
            "insert into system_event_repeats values ('worker', 'system.error', %(hours)s::text, '{}', 1, null, "
            "clock_timestamp() - make_interval(hours => %(hours)s))",
            hours=hours,
        )

    assert purge()["system_event_repeats"] == 1
    assert _count(database, "select count(*) from system_event_repeats where fingerprint = '23'") == 1


def test_a_dead_letter_of_an_event_is_deleted_a_month_after_it_was_resolved_and_never_while_it_is_open(
    purge: Purge, do: Callable[..., None], settings: AllSettings
) -> None:
    rows = [
        ("dead", None),
        ("due", None),
        ("waiting", None),
        ("reprocessed", 29),
        ("reprocessed", 31),
        ("discarded", 31),
    ]
    for offset, (state, days) in enumerate(rows):
        do(
            "insert into event_dead_letters (id, sink, topic, partition, kafka_offset, state, failed_at, resolved_at) "
            "values (%(id)s, 's', 't', 0, %(offset)s, %(state)s, '2020-01-01Z', "
            "clock_timestamp() - make_interval(days => %(days)s))",
            id=new_id(),
            offset=offset,
            state=state,
            days=days,
        )

    assert purge()["event_dead_letters"] == 2
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        left = connection.execute("select kafka_offset from event_dead_letters order by 1").fetchall()
    assert left == [(0,), (1,), (2,), (3,)]


@pytest.fixture
def a_day_long_rate() -> Iterator[None]:
    class Slow(Job, kind="slow_one", limit=Limit(name="slow", rate=Rate(limit=1, per_seconds=86_400))):
        pass

    assert Slow.limit
    yield
    del registry["slow_one"]


def _starts(settings: AllSettings, database: Database, do: Callable[..., None]) -> int:
    """Let a relay admit jobs after starts of half an hour, two hours and two days ago; return how many are left."""
    do(
        "insert into job_starts select 'slow', clock_timestamp() - make_interval(mins => minutes) "
        "from unnest(array[30, 120, 2880]) as minutes"
    )

    async def admit() -> None:
        conninfo = settings.conninfo("relay", application_name="test")
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
            await Admission(connection, admitted=lambda: None, warn=lambda **_: None).run_once()

    asyncio.run(admit())
    return _count(database, "select count(*) from job_starts")


def test_starts_are_kept_for_an_hour(settings: AllSettings, database: Database, do: Callable[..., None]) -> None:
    assert _starts(settings, database, do) == 1


@pytest.mark.usefixtures("a_day_long_rate")
def test_starts_are_kept_for_as_long_as_the_longest_rate_looks_back(
    settings: AllSettings, database: Database, do: Callable[..., None]
) -> None:
    assert _starts(settings, database, do) == 2


def test_starts_are_left_to_the_relay_that_counts_them(
    purge: Purge, database: Database, do: Callable[..., None]
) -> None:
    do("insert into job_starts values ('slow', clock_timestamp() - interval '2 days')")

    assert "job_starts" not in purge()
    assert _count(database, "select count(*) from job_starts") == 1


def test_undeclared_schedules_are_deleted_after_the_time_of_a_job(
    purge: Purge, settings: AllSettings, database: Database
) -> None:
    relay = Database(settings.conninfo("relay", application_name="test"), size=1)
    relay.open()
    with relay.transaction() as session:
        session.execute(
            "insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at, removed_at) "
            "select name, 'k', '* * * * *', 'UTC', 'skip', 'none', now(), clock_timestamp() - age from (values "
            "('a', interval '8 days'), ('b', interval '1 day'), ('c', null)) as made (name, age)"
        )
    relay.close()

    assert purge()["schedules"] == 1
    assert _count(database, "select count(*) from schedules where name in ('b', 'c')") == 2


def test_the_first_id_of_a_moment_is_above_all_earlier_ids_and_below_all_later_ones() -> None:
    before = new_id()
    eventually(lambda: new_id().int >> 80 > before.int >> 80, what="the next millisecond")

    parting = first_id(datetime.now(UTC))

    assert before < parting <= new_id()
