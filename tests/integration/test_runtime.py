"""The worker's runtime on a real Postgres: what passes is waited for, and no message is left without a verdict."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg import Connection, errors
from psycopg.rows import DictRow
from structlog.testing import capture_logs

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import claims
from moneyflow.platform.settings import Settings
from tests.support import effects, jobs
from tests.support.effects import LeaveEffect
from tests.support.kinds import Flaky
from tests.support.ledger import LedgerWorker, ledger_worker
from tests.support.waiting import eventually
from workers import handlers
from workers.handlers import Tools
from workers.intake.acks import Verdict
from workers.intake.delivery import Delivery
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
    runtime = Runtime(
        database=database, finishes=database, presence=presence, handlers=handlers.registry | replaced, tools=tools
    )
    runtime.start()
    return runtime


def _taken_by_id(runtime: Runtime, job_id: UUID) -> Delivery:
    """Claim the job as the shortcut does, without a message."""
    named = Delivery(job_id=job_id, priority=5, has_message=False)
    runtime.window.claim_now([named])
    return named


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


def test_a_job_that_was_taken_over_while_it_ran_leaves_no_effect_and_no_end(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    def is_taken_over(context: Any, _: object) -> None:
        effects.leave(context)
        with database.transaction() as other:
            other.execute("update jobs set fence = fence + 1 where id = %(id)s", {"id": context.job_id})

    (job_id,) = jobs.enqueue(database, LeaveEffect())

    with capture_logs() as lines:
        _run(_runtime(settings, database, Presence(worker), leave_effect=is_taken_over), job_id)

    assert "fence_lost" in {line["event"] for line in lines}
    assert jobs.effects(database, [job_id]) == {}
    assert jobs.states(database, [job_id]) == {"running": 1}
    assert jobs.attempts(database, job_id) == []


@pytest.mark.parametrize("writes", [True, False])
def test_a_success_is_one_debug_line_with_its_job_kind_attempt_and_seconds(
    writes: bool, settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    replaced = {} if writes else {"leave_effect": lambda *_: None}
    runtime = _runtime(settings, database, Presence(worker), **replaced)

    with capture_logs() as lines:
        _run(runtime, job_id)
        jobs.until_all(database, [job_id], "succeeded")
        eventually(lambda: lines, what="the line is written")

    (line,) = lines
    seconds = line.pop("seconds")
    assert 0 <= seconds < 60
    assert line == {
        "event": "job_succeeded",
        "log_level": "debug",
        "job_id": str(job_id),
        "job": "leave_effect",
        "attempt": 1,
        "correlation_id": None,
    }


def test_a_job_without_a_handler_or_of_another_version_is_parked_until_workers_know_it(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    unknown, newer = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set kind = 'of_tomorrow' where id = %(id)s", {"id": unknown})
        session.execute("update jobs set version = 2 where id = %(id)s", {"id": newer})
    runtime = _runtime(settings, database, Presence(worker))

    verdicts = [_run(runtime, job_id) for job_id in (unknown, newer)]

    assert verdicts == [Verdict.ACK, Verdict.ACK]
    assert jobs.states(database, [unknown, newer]) == {"scheduled": 2}
    for job_id in (unknown, newer):
        row = jobs.job(database, job_id)
        assert "deploy workers that know it" in row["parked_reason"]
        assert row["attempt"] == 0
        assert [(one["outcome"], one["attempt"]) for one in jobs.attempts(database, job_id)] == [("parked", 0)]


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


def test_jobs_that_lie_claimed_here_when_their_kind_pauses_itself_wait_and_meet_no_outage(
    settings: Settings, database: Database, worker: LedgerWorker, tmp_path: Path
) -> None:
    (tmp_path / "down").touch()
    ids = jobs.enqueue(database, *[Flaky(down=str(tmp_path / "down")) for _ in range(10)])
    runtime = _runtime(settings, database, Presence(worker))
    deliveries = [Delivery(job_id=job_id, priority=5) for job_id in ids]
    for delivery in deliveries:
        runtime.window.arrived(delivery)

    for delivery in deliveries:
        runtime.run(delivery)

    assert {delivery.verdict for delivery in deliveries} == {Verdict.ACK}
    assert [len(jobs.attempts(database, job_id)) for job_id in ids] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert jobs.states(database, ids) == {"retrying": 3, "scheduled": 7}


def test_what_was_claimed_without_a_message_goes_back_to_the_relay_and_what_has_one_to_rabbitmq(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    carried, uncarried = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    runtime = _runtime(settings, database, Presence(worker))
    message, named = Delivery(job_id=carried, priority=5), Delivery(job_id=uncarried, priority=5, has_message=False)
    settled: list[Verdict] = []
    message.settle = settled.append
    runtime.window.claim_now([message, named])

    runtime.stop()

    assert jobs.job(database, carried)["state"] == "queued"
    assert jobs.job(database, uncarried)["state"] == "scheduled"
    assert settled == [Verdict.GIVE_BACK]
    for delivery in (message, named):
        runtime.run(delivery)  # A thread that had it in hand.
    assert jobs.effects(database, [carried, uncarried]) == {}


def test_a_job_that_was_taken_by_its_id_and_then_by_a_message_runs_once(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    runtime = _runtime(settings, database, Presence(worker))
    named = _taken_by_id(runtime, job_id)

    assert _run(runtime, job_id) is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "running"
    runtime.run(named)

    assert jobs.job(database, job_id)["state"] == "succeeded"
    assert jobs.effects(database, [job_id]) == {job_id: 1}


@pytest.mark.parametrize("has_message", [True, False])
def test_a_claim_that_was_made_though_its_answer_was_lost_is_made_again_and_takes_no_other_job_back(
    has_message: bool, settings: Settings, database: Database, worker: LedgerWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, unheard = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    runtime = _runtime(settings, database, Presence(worker))
    held = Delivery(job_id=earlier, priority=5, has_message=has_message)
    runtime.window.claim_now([held])
    claim_window = claims.claim_window

    def cut_off(*args: Any, **parameters: Any) -> None:
        claim_window(*args, **parameters)
        raise errors.AdminShutdown("the connection is gone")

    delivery, again = (Delivery(job_id=job_id, priority=5, has_message=has_message) for job_id in (unheard, earlier))
    monkeypatch.setattr(claims, "claim_window", cut_off)
    with pytest.raises(errors.AdminShutdown):
        runtime.window.claim_now([delivery, again])
    assert jobs.states(database, [earlier, unheard]) == {"running": 2}

    monkeypatch.setattr(claims, "claim_window", claim_window)
    assert runtime.window.claim_now([delivery]) == [delivery]
    for one in (delivery, held):
        runtime.run(one)

    assert jobs.states(database, [earlier, unheard]) == {"succeeded": 2}
    assert jobs.effects(database, [earlier, unheard]) == {earlier: 1, unheard: 1}
    assert [len(jobs.attempts(database, job_id)) for job_id in (earlier, unheard)] == [1, 1]


def test_a_job_taken_by_its_id_that_is_lost_before_it_begins_is_left_to_whoever_has_it(
    settings: Settings, database: Database, worker: LedgerWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    runtime = _runtime(settings, database, Presence(worker))
    named = _taken_by_id(runtime, job_id)
    with database.transaction() as session:
        session.execute("update jobs set fence = fence + 1")

    runtime.run(named)

    assert jobs.job(database, job_id)["state"] == "running"
    assert jobs.effects(database, [job_id]) == {}
