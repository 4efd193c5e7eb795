"""What is over is deleted in batches; what somebody may still need, or has at hand, stays."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest
from pydantic import ConfigDict

from moneyflow.platform import retention
from moneyflow.platform.database import Database
from moneyflow.platform.ids import first_id, new_id
from moneyflow.platform.jobs.contract import Job, registry
from moneyflow.platform.jobs.limits import Limit, Rate
from moneyflow.platform.jobs.policy import Unique
from moneyflow.platform.jobs.store.claims import claim
from moneyflow.platform.retention import Keeping
from moneyflow.platform.settings import Settings
from tests.support import jobs, people
from tests.support.effects import LeaveEffect
from tests.support.ledger import ledger_worker
from tests.support.waiting import eventually

_KEEPING = Keeping(jobs=timedelta(days=7), discarded=timedelta(days=30))


class Keyed(Job, kind="keyed"):
    """A job whose key is taken for as long as the job is known."""

    name: str

    def unique_key(self) -> str:
        return f"keyed:{self.name}"


class KeyedForAnHour(Keyed, kind="keyed_for_an_hour", unique=Unique(for_seconds=3600)):
    model_config = ConfigDict(title="its key is free long before it is purged")


class KeyedWhileUnfinished(Keyed, kind="keyed_while_unfinished", unique=Unique(while_unfinished=True)):
    model_config = ConfigDict(title="its key is free once it has ended")


def _purge(database: Database, *, seconds: float = 30) -> dict[str, Any]:
    with database.transaction() as session:
        return retention.purge(session, _KEEPING, seconds=seconds)


def _age(database: Database, ids: list[UUID], *, days: float, state: str = "succeeded") -> list[UUID]:
    """Make jobs as old as if they had been enqueued and ended so many days ago; return their new ids."""
    with database.transaction() as session:
        fresh = {job_id: _id_of(timedelta(days=days, hours=1)) for job_id in ids}
        for job_id, old in fresh.items():
            session.execute(
                f"update jobs set id = %(old)s, {jobs.shown_as(state)}, finished_at = clock_timestamp() - %(age)s, "  # type: ignore[arg-type]
                "unique_until = unique_until - %(age)s where id = %(id)s",
                {"id": job_id, "old": old, "age": timedelta(days=days)},
            )
    return list(fresh.values())


def _id_of(age: timedelta) -> UUID:
    """Return an id as one was made so long ago."""
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
def do(database: Database) -> Callable[..., None]:
    def run(statement: LiteralString, **parameters: Any) -> None:
        with database.transaction() as session:
            session.execute(statement, parameters)

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
def test_a_job_is_deleted_when_it_has_ended_long_enough_ago_and_needs_nobody(
    database: Database, state: str, days: float, left: int
) -> None:
    ids = _old(database, LeaveEffect(), days=days, state=state)

    deleted = _purge(database)

    assert _left(database, ids) == left
    assert (deleted["jobs"], deleted["done"]) == (1 - left, True)


@pytest.mark.parametrize(("discarded_days_ago", "left"), [(29, 1), (31, 0)])
def test_a_job_that_failed_long_ago_can_be_restored_for_as_long_as_any_other_after_it_was_discarded(
    database: Database, do: Callable[..., None], discarded_days_ago: int, left: int
) -> None:
    (job_id,) = _old(database, LeaveEffect(), days=400, state="discarded")
    operation = new_id()
    do(
        "insert into operations (id, verb, asked_by, filter) values (%(id)s, 'discard', 'ada', '{}')",
        id=operation,
    )
    do(
        "insert into operation_items (operation_id, position, job_id, fence, result, done_at) values "
        "(%(operation)s, 1, %(job)s, 1, 'discarded', clock_timestamp() - make_interval(days => %(days)s))",
        operation=operation,
        job=job_id,
        days=discarded_days_ago,
    )

    _purge(database)

    assert _left(database, [job_id]) == left


def test_a_job_that_waited_for_years_is_kept_from_its_end_and_not_from_its_enqueuing(
    database: Database, do: Callable[..., None]
) -> None:
    (job_id,) = _old(database, LeaveEffect(), days=3650)
    do("update jobs set finished_at = clock_timestamp()")

    _purge(database)

    assert _left(database, [job_id]) == 1


def test_its_tries_go_with_a_job(database: Database, do: Callable[..., None]) -> None:
    gone, kept = _old(database, LeaveEffect(), days=8) + _old(database, LeaveEffect(), days=1)
    for job_id in (gone, kept):
        do(
            "insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome) "
            "values (%(id)s, 1, 1, 'w', now(), 'succeeded')",
            id=job_id,
        )

    _purge(database)

    assert (jobs.attempts(database, gone), len(jobs.attempts(database, kept))) == ([], 1)


@pytest.mark.parametrize(("contract", "left"), [(Keyed, 1), (KeyedForAnHour, 0), (KeyedWhileUnfinished, 0)])
def test_a_job_stays_while_it_holds_a_key_so_that_no_second_one_is_enqueued(
    database: Database, contract: type[Keyed], left: int
) -> None:
    ids = _old(database, contract(name="ada"), days=400)

    _purge(database)

    assert _left(database, ids) == left
    (again,) = jobs.enqueue(database, contract(name="ada"))
    assert (again in ids) == bool(left)


def test_the_jobs_of_a_batch_stay_until_it_has_ended_and_then_it_goes_after_them(
    database: Database, do: Callable[..., None]
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

    deleted = _purge(database)

    assert (_left(database, [of_the_open]), _left(database, [of_the_ended])) == (1, 0)
    assert deleted["batches"] == 1
    assert _count(database, "select count(*) from batches where state = 'open'") == 1


def test_many_are_deleted_batch_by_batch_past_all_that_stay(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    failed = _old(database, *[LeaveEffect() for _ in range(35)], days=20, state="failed")
    over = _old(database, *[LeaveEffect() for _ in range(35)], days=10)

    deleted = _purge(database)

    assert (deleted["jobs"], deleted["done"]) == (35, True)
    assert (_left(database, over), _left(database, failed)) == (0, 35)


def test_a_purge_that_runs_out_of_time_keeps_what_it_did_and_the_next_goes_on(
    database: Database, monkeypatch: Any
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    over = _old(database, *[LeaveEffect() for _ in range(35)], days=10)
    moments = iter([0, 1, 2, 99])
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: next(moments, 99)))

    first = _purge(database, seconds=30)
    monkeypatch.undo()
    second = _purge(database)

    assert (first["jobs"], first["done"]) == (20, False)
    assert (second["jobs"], second["done"]) == (15, True)
    assert _left(database, over) == 0


def test_a_row_that_somebody_has_locked_is_left_to_the_next_run_and_waited_for_by_nobody(database: Database) -> None:
    locked, free = _old(database, LeaveEffect(), LeaveEffect(), days=10)

    with database.transaction() as session:
        session.execute("select from jobs where id = %(id)s for update", {"id": locked})
        while_locked = _purge(database)

    assert while_locked["jobs"] == 1
    assert (_left(database, [locked]), _left(database, [free])) == (1, 0)
    assert _purge(database)["jobs"] == 1


def test_claims_wait_for_no_batch_that_is_being_deleted(settings: Settings, database: Database) -> None:
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
            retention.purge(session, _KEEPING, seconds=30)

    thread = threading.Thread(target=hold_a_batch)
    thread.start()
    purging.wait(20)
    with ledger_worker(settings) as worker:
        claimed_jobs = claim(worker.connection, [*over, *waiting], worker=worker.number)
        claimed.set()
    thread.join()

    assert [claim.id for claim in claimed_jobs] == waiting
    assert _left(database, over) == 0


def test_tokens_go_when_they_have_expired_used_or_not(database: Database, do: Callable[..., None]) -> None:
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

    assert _purge(database)["user_tokens"] == 2
    assert _count(database, "select count(*) from user_tokens where purpose = 'x'") == 2


def test_an_answer_can_be_had_again_for_two_days(database: Database, do: Callable[..., None]) -> None:
    for hours in (47, 49):
        do(
            "insert into idempotency_keys values ('s', %(key)s, '', 202, '{}', '', "
            "clock_timestamp() - make_interval(hours => %(hours)s))",
            key=str(hours),
            hours=hours,
        )

    assert _purge(database)["idempotency_keys"] == 1
    assert _count(database, "select count(*) from idempotency_keys where key = '47'") == 1


@pytest.fixture
def a_day_long_rate() -> Iterator[None]:
    class Slow(Job, kind="slow_one", limit=Limit(name="slow", rate=Rate(limit=1, per_seconds=86_400))):
        pass

    assert Slow.limit
    yield
    del registry["slow_one"]


def _starts(database: Database, do: Callable[..., None]) -> tuple[int, int]:
    """Purge with a start of half an hour, two hours and two days ago; return how many went and how many are left."""
    do(
        "insert into job_starts select 'slow', clock_timestamp() - make_interval(mins => minutes) "
        "from unnest(array[30, 120, 2880]) as minutes"
    )
    return _purge(database)["job_starts"], _count(database, "select count(*) from job_starts")


def test_starts_are_kept_for_an_hour(database: Database, do: Callable[..., None]) -> None:
    assert _starts(database, do) == (2, 1)


@pytest.mark.usefixtures("a_day_long_rate")
def test_starts_are_kept_for_as_long_as_the_longest_rate_looks_back(
    database: Database, do: Callable[..., None]
) -> None:
    assert _starts(database, do) == (1, 2)


def test_schedules_that_no_code_declares_go_after_the_time_of_a_job(settings: Settings, database: Database) -> None:
    relay = Database(settings.conninfo("relay", application_name="test"), size=1)
    relay.open()
    with relay.transaction() as session:
        session.execute(
            "insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at, removed_at) "
            "select name, 'k', '* * * * *', 'UTC', 'skip', 'none', now(), clock_timestamp() - age from (values "
            "('a', interval '8 days'), ('b', interval '1 day'), ('c', null)) as made (name, age)"
        )
    relay.close()

    assert _purge(database)["schedules"] == 1
    assert _count(database, "select count(*) from schedules where name in ('b', 'c')") == 2


def test_the_first_id_of_a_moment_parts_what_was_made_before_from_what_was_made_after() -> None:
    before = new_id()
    eventually(lambda: new_id().int >> 80 > before.int >> 80, what="the next millisecond")

    parting = first_id(datetime.now(UTC))

    assert before < parting <= new_id()
