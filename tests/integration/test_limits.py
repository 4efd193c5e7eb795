"""Limits as the job store keeps them: which job may begin is decided once, before anything is published."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store import claims, completion
from moneyflow.platform.jobs.store.completion import End, Failure, Outcome, Success
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.kinds import Placed, Rated
from tests.support.relay_queries import QUERIES
from tests.support.store_worker import StoreWorker, store_worker
from tests.support.waiting import eventually


@pytest.fixture
def relay(settings: AllSettings) -> Iterator[Connection[DictRow]]:
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings) as running:
        yield running


def _admit(relay: Connection[DictRow], **limits: Any) -> list[UUID]:
    parameters = {
        "names": ["test_places", "test_rate"], "concurrency": [3, None], "per_key": [1, None],
        "rate_limits": [None, 5], "rate_seconds": [None, 1.0], "limit": 500,
    } | limits  # fmt: skip
    return [row["id"] for row in relay.execute(QUERIES["admit"], parameters).fetchall()]


def _claim(worker: StoreWorker, ids: list[UUID]) -> list[claims.Claim]:
    return claims.claim(worker.connection, ids, worker=worker.number)


def _due(relay: Connection[DictRow]) -> list[UUID]:
    return [row["id"] for row in relay.execute(QUERIES["due_jobs"], {"limit": 500}).fetchall()]


def test_a_limited_job_is_neither_published_nor_claimed_before_it_has_a_place(
    database: Database, relay: Connection[DictRow], worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, Placed())

    assert _due(relay) == []
    assert _claim(worker, [job_id]) == []
    assert _admit(relay) == [job_id]
    assert _due(relay) == [job_id]
    assert [claim.limit_name for claim in _claim(worker, [job_id])] == ["test_places"]


def test_as_many_are_let_through_as_there_are_places_and_one_for_each_key_the_highest_first(
    database: Database, relay: Connection[DictRow]
) -> None:
    ids = jobs.enqueue(database, *[Placed(key=key) for key in "aabbccdd"])
    with database.transaction() as session:
        session.execute("update jobs set priority = 9 where id = any(%(ids)s)", {"ids": [ids[7], ids[3]]})

    admitted = _admit(relay)

    assert len(admitted) == 3
    assert {ids[7], ids[3]} <= set(admitted)
    assert len({ids.index(one) // 2 for one in admitted}) == 3, "no two of one key"
    assert _admit(relay) == []


@pytest.mark.parametrize("ending", Outcome)
def test_a_place_is_free_again_however_the_attempt_ends(
    ending: Outcome, database: Database, relay: Connection[DictRow], worker: StoreWorker
) -> None:
    first, second = jobs.enqueue(database, Placed(key="a"), Placed(key="a"))
    assert _admit(relay) == [first]
    (claim,) = _claim(worker, [first])
    assert _admit(relay) == []

    why = Failure(error_class="X", message="x")
    with database.transaction() as session:
        if ending is Outcome.SUCCEEDED:
            completion.succeed(session, Success(claim=claim), worker="w")
        else:
            completion.end(session, claim, End(outcome=ending, wait_seconds=60), why, worker="w")

    assert _admit(relay) == [second]


def test_a_job_whose_worker_died_keeps_its_place_so_that_no_other_begins_next_to_it(
    settings: AllSettings, database: Database, relay: Connection[DictRow]
) -> None:
    first, _second = jobs.enqueue(database, Placed(key="a"), Placed(key="a"))
    assert _admit(relay) == [first]
    with store_worker(settings) as dying:
        assert len(_claim(dying, [first])) == 1

    taken = eventually(lambda: relay.execute(QUERIES["rescue"], {"limit": 10}).fetchall(), what="its lock is released")

    assert [row["id"] for row in taken] == [first]
    assert _admit(relay) == []
    assert _due(relay) == [first]


def test_no_interval_has_more_starts_than_the_rate_however_late_the_workers_are(
    database: Database, relay: Connection[DictRow], worker: StoreWorker
) -> None:
    ids = jobs.enqueue(database, *[Rated() for _ in range(12)])

    first = _admit(relay)
    assert len(first) == 5
    assert _admit(relay) == [], "they have not begun, and might all begin now"
    for claim in _claim(worker, ids):
        with database.transaction() as session:
            completion.succeed(session, Success(claim=claim), worker="w")
    assert _admit(relay) == [], "they began within the interval"
    with database.transaction() as session:
        session.execute("update job_starts set started_at = started_at - interval '1 second'")
    assert len(_admit(relay)) == 5


def test_a_job_of_a_paused_kind_takes_no_place(database: Database, relay: Connection[DictRow]) -> None:
    jobs.enqueue(database, Placed())
    with database.transaction() as session:
        session.execute("insert into job_kinds (kind, paused_at) values ('placed', now())")

    assert _admit(relay) == []


def test_a_job_that_is_due_later_is_not_let_through_now(database: Database, relay: Connection[DictRow]) -> None:
    jobs.enqueue(database, Placed())
    with database.transaction() as session:
        session.execute("update jobs set due_at = now() + interval '1 hour'")

    assert _admit(relay) == []


def test_a_limit_that_only_another_version_knows_is_named(database: Database, relay: Connection[DictRow]) -> None:
    jobs.enqueue(database, Placed(), Rated())

    rows = relay.execute(QUERIES["unknown_limits"], {"names": ["test_rate"]}).fetchall()

    assert [row["name"] for row in rows] == ["test_places"]


@pytest.mark.parametrize("names", [[], ["test_rate"], ["test_places", "test_rate"]], ids=str)
def test_where_no_job_waits_for_a_limit_none_is_unknown(names: list[str], relay: Connection[DictRow]) -> None:
    assert relay.execute(QUERIES["unknown_limits"], {"names": names}).fetchall() == []


def test_a_job_of_a_declared_limit_makes_no_limit_unknown(database: Database, relay: Connection[DictRow]) -> None:
    jobs.enqueue(database, Placed(), Rated(), LeaveEffect())

    assert relay.execute(QUERIES["unknown_limits"], {"names": ["test_places", "test_rate"]}).fetchall() == []


def test_a_limit_whose_next_job_waits_too_long_is_named_and_not_that_of_a_paused_kind(
    database: Database, relay: Connection[DictRow]
) -> None:
    jobs.enqueue(database, *[Placed(key=key) for key in "ab"], Rated())
    with database.transaction() as session:
        session.execute("update jobs set due_at = due_at - interval '400 seconds' where limit_key <> 'a'")
        session.execute("insert into job_kinds (kind, paused_at, paused_by) values ('rated', now(), 'a test')")

    (row,) = relay.execute(QUERIES["longest_waits"], {"seconds": 300}).fetchall()

    assert (row["name"], 399 < row["seconds"] < 500) == ("test_places", True)
    assert relay.execute(QUERIES["longest_waits"], {"seconds": 500}).fetchall() == []
