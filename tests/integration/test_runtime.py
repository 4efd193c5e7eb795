"""The worker's runtime on a real Postgres: what passes is waited for, and no message is left without a verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection, errors
from psycopg.rows import DictRow

from moneyflow.database import Database
from moneyflow.ids import new_id
from moneyflow.settings import Settings
from tests.support import effects, jobs
from tests.support.effects import LeaveEffect
from tests.support.ledger import LedgerWorker, ledger_worker
from workers import handlers
from workers.broker import Delivery, Verdict
from workers.handlers import Tools
from workers.runtime import Runtime


class Presence:
    """A worker's connection that refuses its first statements with the given errors."""

    name = "worker"

    def __init__(self, worker: LedgerWorker, *refusals: Exception) -> None:
        self._worker = worker
        self.refusals = list(refusals)

    @contextmanager
    def acting(self) -> Iterator[tuple[Connection[DictRow], int]]:
        if self.refusals:
            raise self.refusals.pop(0)
        yield self._worker.connection, self._worker.number


@pytest.fixture
def worker(settings: Settings) -> Iterator[LedgerWorker]:
    effects.create_table(settings)
    with ledger_worker(settings) as running:
        yield running


def _runtime(settings: Settings, database: Database, presence: Any, **replaced: Any) -> Runtime:
    tools = Tools(settings=settings, mailer=None)  # type: ignore[arg-type]
    return Runtime(database=database, presence=presence, handlers=handlers.registry | replaced, tools=tools)


def _run(runtime: Runtime, job_id: UUID) -> Verdict:
    delivery = Delivery(job_id=job_id, priority=5)
    runtime.window.arrived(delivery)
    runtime.run(delivery)
    return delivery.verdict


@pytest.mark.parametrize(
    "passing", [errors.DeadlockDetected, errors.LockNotAvailable, errors.QueryCanceled, errors.AdminShutdown]
)
def test_a_claim_that_postgres_refuses_for_a_moment_is_made_again(
    passing: type[Exception], settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    presence = Presence(worker, passing("not now"), passing("not now"))

    verdict = _run(_runtime(settings, database, presence), job_id)

    assert verdict is Verdict.ACK
    assert presence.refusals == []
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_job_with_an_error_that_no_database_can_store_is_tried_again_like_any_other(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    def raises(*_: object) -> None:
        raise ValueError("half a pair \ud800, a NUL \x00")

    (job_id,) = jobs.enqueue(database, LeaveEffect())

    verdict = _run(_runtime(settings, database, Presence(worker), leave_effect=raises), job_id)

    assert verdict is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "retrying"
    assert jobs.attempts(database, job_id)[0]["error_message"] == "half a pair ?, a NUL �"


def test_a_result_that_cannot_be_stored_fails_the_try_and_leaves_no_effect(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    def returns(context: Any, _: object) -> dict[str, Any]:
        effects.leave_effect(context, LeaveEffect())
        return {"text": "a NUL \x00"}

    (job_id,) = jobs.enqueue(database, LeaveEffect())

    verdict = _run(_runtime(settings, database, Presence(worker), leave_effect=returns), job_id)

    assert verdict is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "retrying"
    assert jobs.effects(database, [job_id]) == {}


def test_a_job_without_a_handler_or_of_another_version_fails_for_good_and_says_what_to_do(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    unknown, newer = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set kind = 'of_tomorrow' where id = %(id)s", {"id": unknown})
        session.execute("update jobs set version = 2 where id = %(id)s", {"id": newer})
    runtime = _runtime(settings, database, Presence(worker))

    verdicts = [_run(runtime, job_id) for job_id in (unknown, newer)]

    assert verdicts == [Verdict.ACK, Verdict.ACK]
    assert jobs.states(database, [unknown, newer]) == {"failed": 2}
    for job_id in (unknown, newer):
        assert "deploy workers that know it" in jobs.attempts(database, job_id)[0]["error_message"]


def test_a_message_of_no_job_is_rejected_and_one_of_a_job_that_is_not_due_is_done_with(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (later,) = jobs.enqueue(database, LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set due_at = now() + interval '1 hour'")
    runtime = _runtime(settings, database, Presence(worker))

    assert _run(runtime, new_id()) is Verdict.REJECT
    assert _run(runtime, later) is Verdict.ACK
    assert jobs.states(database, [later]) == {"scheduled": 1}


def test_a_worker_that_stops_while_postgres_is_away_settles_nothing(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    runtime = _runtime(settings, database, Presence(worker, *[errors.AdminShutdown("gone") for _ in range(99)]))
    runtime.stop()

    assert _run(runtime, job_id) is Verdict.KEEP
    assert jobs.states(database, [job_id]) == {"scheduled": 1}
