"""What the relay reads from Postgres and writes to it: what is due, what was confirmed, and what a crash left."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow, dict_row

from moneyflow.platform import clock
from moneyflow.platform.database import BY_KEYS, Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.store import claims, control
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect, Overrun
from tests.support.kinds import LimitedReach
from tests.support.relay_queries import QUERIES
from tests.support.store_worker import StoreWorker, store_worker
from tests.support.waiting import eventually

Ask = Callable[..., list[DictRow]]

#: Far fewer than the table of `history` has, and a lookup of each of its rows takes.
_FEW_BLOCKS = 250


@pytest.fixture
def ask(settings: AllSettings) -> Iterator[Ask]:
    """Return what runs a named query as the relay."""
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:

        def run(query: str, **parameters: Any) -> list[DictRow]:
            cursor = connection.execute(QUERIES[query], parameters)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings, "first") as running:
        yield running


def _some(database: Database, count: int) -> list[UUID]:
    return jobs.enqueue(database, *[LeaveEffect() for _ in range(count)])


def _set(database: Database, change: str, job_id: UUID) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = %(id)s", {"id": job_id})


@pytest.fixture(params=["analysed", "analysed_while_all_waited", "never_analysed"])
def history(settings: AllSettings, database: Database, request: pytest.FixtureRequest) -> None:
    """Let there be many jobs that are over, and few that are not, with statistics of several ages."""
    _some(database, 20)
    analyse: LiteralString = "analyze jobs, job_attempts, job_kinds, job_dead_letters"
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as owner:
        owner.execute(
            "insert into jobs (id, kind, version, priority, payload, max_attempts, time_limit_seconds, state, due_at)"
            " select gen_random_uuid(), 'leave_effect', 1, n % 11, '{}', 3, 60, 'scheduled', now()"
            " from generate_series(1, 20000) n"
        )
        if request.param == "analysed_while_all_waited":
            owner.execute(analyse)
        owner.execute(
            "with over as (update jobs set state = 'succeeded', finished_at = now(), fence = 1, attempt = 1"
            " where version = 1 and id not in (select id from jobs order by id desc limit 20) returning id)"
            " insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome)"
            " select id, 1, 1, 'a', now(), 'succeeded' from over"
        )
        owner.execute("vacuum jobs")
        if request.param == "analysed":
            owner.execute(analyse)


_ASKED_BY_ITSELF: dict[str, dict[str, Any]] = {
    "due_jobs": {"limit": 500},
    "next_due_seconds": {},
    "mark_published": {"ids": [new_id()], "fences": [1]},
    "dead_letters": {"limit": 500},
    "rescue": {"limit": 1000},
    "admit": {
        "names": ["smtp"], "concurrency": [1], "per_key": [1], "rate_limits": [1], "rate_seconds": [1.0], "limit": 500,
    },
    "unknown_limits": {"names": ["smtp"]},
    "choose_probes": {},
    "release_places": {},
    "queued_before": {"grace_seconds": 5},
    "publish_again": {"newest": clock.now(), "limit": 1000},
    "places": {"names": ["smtp"], "concurrency": [1], "rate_limits": [1], "rate_seconds": [1.0]},
    "jobs_in_state": {},
    "parked_by_kind": {},
    "oldest_due": {},
    "outbox_age": {},
}  # fmt: skip


@pytest.mark.parametrize("query", _ASKED_BY_ITSELF)
def test_the_queries_that_the_relay_repeats_read_no_finished_job(
    query: str, settings: AllSettings, history: None
) -> None:
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, options=BY_KEYS) as connection:
        explain: Any = f"explain (analyze, buffers, format json) {QUERIES[query]}"
        (found,) = connection.execute(explain, _ASKED_BY_ITSELF[query]).fetchone() or ()
        connection.rollback()

    plan = found[0]["Plan"]
    assert "jobs" in str(plan)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < _FEW_BLOCKS, plan


def _publish(ask: Ask, *ids: UUID, fence: int = 0) -> None:
    ask("mark_published", ids=list(ids), fences=[fence] * len(ids))


def test_what_is_due_comes_highest_priority_first_and_then_the_oldest(database: Database, ask: Ask) -> None:
    ids = _some(database, 6)
    for job_id, priority in zip(ids, (5, 0, 10, 5, 10, 3), strict=True):
        _set(database, f"priority = {priority}", job_id)
    _set(database, "due_at = now() + interval '1 hour'", ids[5])

    assert [row["id"] for row in ask("due_jobs", limit=10)] == [ids[i] for i in (2, 4, 0, 3, 1)]
    assert [row["id"] for row in ask("due_jobs", limit=3)] == [ids[i] for i in (2, 4, 0)]


def test_the_next_due_time_is_known_and_none_when_nothing_waits(database: Database, ask: Ask) -> None:
    before = ask("next_due_seconds")
    with database.transaction() as session:
        enqueue(session, LeaveEffect(), delay=timedelta(seconds=90))

    assert before == [{"seconds": None}]
    assert ask("next_due_seconds")[0]["seconds"] == pytest.approx(90, abs=5)


def test_what_was_confirmed_is_queued_unless_a_worker_has_it_already(
    database: Database, ask: Ask, worker: StoreWorker
) -> None:
    waiting, claimed, other_fence = _some(database, 3)
    claims.claim(worker.connection, [claimed], worker=worker.number)
    _set(database, "fence = 4", other_fence)

    _publish(ask, waiting, claimed, other_fence)

    assert [jobs.job(database, i)["state"] for i in (waiting, claimed, other_fence)] == [
        "queued", "running", "scheduled",
    ]  # fmt: skip
    assert jobs.job(database, waiting)["published_at"] is not None


def test_only_what_no_live_worker_holds_is_rescued(
    settings: AllSettings, database: Database, ask: Ask, worker: StoreWorker
) -> None:
    held, lost, overrun, waiting = [*_some(database, 2), *jobs.enqueue(database, Overrun()), *_some(database, 1)]
    claims.claim(worker.connection, [held, overrun], worker=worker.number)
    _set(database, "lease_until = now() - interval '1 second'", overrun)
    with store_worker(settings, "dead") as dead:
        claims.claim(dead.connection, [lost], worker=dead.number)
        while_it_lives = ask("rescue", limit=1)

    taken = eventually(lambda: ask("rescue", limit=10), what="Postgres noticed that the worker is dead")

    assert [row["id"] for row in while_it_lives] == [overrun]
    assert [row["id"] for row in taken] == [lost]
    assert [jobs.job(database, i)["state"] for i in (held, waiting)] == ["running", "scheduled"]
    for job_id, worker_name in ((lost, "dead"), (overrun, "first")):
        row = jobs.job(database, job_id)
        assert (row["state"], row["quarantined"], row["fence"], row["attempt"]) == ("scheduled", True, 2, 0)
        (kept,) = jobs.attempts(database, job_id)
        assert (kept["outcome"], kept["attempt"], kept["fence"], kept["worker"]) == ("lost", 0, 1, worker_name)


def test_a_quarantined_job_that_is_rescued_has_lost_an_attempt_that_counts(
    settings: AllSettings, database: Database, ask: Ask
) -> None:
    (job_id,) = _some(database, 1)
    _set(database, "quarantined = true", job_id)
    with store_worker(settings, "dead") as dead:
        assert claims.claim_quarantined(dead.connection, job_id, worker=dead.number) is not None

    eventually(lambda: ask("rescue", limit=10), what="Postgres noticed that the worker is dead")

    assert jobs.job(database, job_id)["attempt"] == 1
    assert [row["attempt"] for row in jobs.attempts(database, job_id)] == [1]


def test_the_holder_of_a_rescued_job_has_lost_its_fence(database: Database, ask: Ask, worker: StoreWorker) -> None:
    (job_id,) = _some(database, 1)
    (claim,) = claims.claim(worker.connection, [job_id], worker=worker.number)
    _set(database, "lease_until = now() - interval '1 second'", job_id)
    ask("rescue", limit=10)

    assert claims.renew(worker.connection, claim) is False
    claims.release(worker.connection, [claim])
    assert jobs.job(database, job_id)["state"] == "scheduled"


def test_what_was_in_the_queue_too_long_is_counted_and_published_again(database: Database, ask: Ask) -> None:
    old, fresh = _some(database, 2)
    _publish(ask, old, fresh)
    _set(database, "published_at = now() - interval '1 minute'", old)

    (counted,) = ask("queued_before", grace_seconds=30)
    ask("publish_again", newest=counted["newest"], limit=10)

    assert counted["jobs"] == 1
    assert [jobs.job(database, i)["state"] for i in (old, fresh)] == ["scheduled", "queued"]


def test_what_waits_is_counted_by_kind_and_age(database: Database, ask: Ask) -> None:
    first, second, _ = _some(database, 3)
    _publish(ask, second)
    _set(database, "due_at = now() - interval '1 minute'", first)

    ages = {row["kind"]: (row["rows"], row["seconds"]) for row in ask("outbox_age")}
    states = {row["state"]: row["jobs"] for row in ask("jobs_in_state")}

    assert ages.keys() == {"job", "dead_letter"}
    assert ages["job"] == (2, pytest.approx(60, abs=5))
    assert ask("age") == [{"rows": 0, "seconds": 0}]
    assert states == {"scheduled": 2, "queued": 1}
    oldest = {"kind": "leave_effect", "priority": 5, "seconds": pytest.approx(60, abs=5), "is_paused": False}
    assert ask("oldest_due") == [oldest]


@pytest.mark.parametrize("waits_for", [None, "limit"])
def test_due_jobs_of_a_paused_kind_count_under_a_limit_too(waits_for: str | None, database: Database, ask: Ask) -> None:
    (waiting,) = jobs.enqueue(database, LimitedReach())
    _set(database, f"waits_for = {repr(waits_for) if waits_for else 'null'}", waiting)
    before = ask("oldest_due")
    with database.transaction() as session:
        control.pause(session, "limited_reach", by="ada", reason="the provider moves")

    (oldest,) = ask("oldest_due")

    assert (oldest["kind"], oldest["is_paused"]) == ("limited_reach", True)
    assert bool(before) == (waits_for is None), "a job that waits for its limit alone is not late"


def test_jobs_that_no_worker_can_read_are_counted_until_they_end(database: Database, ask: Ask) -> None:
    parked, _ = _some(database, 2)
    before = ask("parked_by_kind")

    _set(database, "parked_reason = 'deploy version 2'", parked)
    waiting = ask("parked_by_kind")
    _set(database, "state = 'cancelled'", parked)

    assert (before, waiting, ask("parked_by_kind")) == ([], [{"kind": "leave_effect", "jobs": 1}], [])


def test_events_are_read_in_their_order_up_to_a_number_of_them_or_of_bytes(database: Database, ask: Ask) -> None:
    with database.transaction() as session:
        session.execute(
            "insert into outbox_events (id, topic, key, value) select gen_random_uuid(), 'user.events', 'k',"
            " repeat('x', size)::bytea from unnest(array[9, 4, 1, 1]) with ordinality as of (size, n) order by n"
        )

    def sizes(limit: int, most_bytes: int) -> list[int]:
        rows = ask("unpublished", refused=[], limit=limit, most_bytes=most_bytes)
        return [len(row["value"]) for row in rows]

    assert sizes(3, 100) == [9, 4, 1]
    assert sizes(9, 14) == [9, 4, 1]
    assert sizes(9, 5) == [9], "the first one is read however large it is"
