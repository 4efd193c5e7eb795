"""The worker's runtime on a real Postgres: outages are waited out, and no delivery is left without a verdict."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from psycopg import errors
from psycopg.types.json import Jsonb
from structlog.testing import capture_logs

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import claims as store
from moneyflow.platform.jobs.store import status
from moneyflow.settings import AllSettings
from tests.support import effects, jobs, runtimes
from tests.support.effects import LeaveEffect
from tests.support.kinds import Flaky
from tests.support.runtimes import RefusingConnection
from tests.support.store_worker import StoreWorker, store_worker
from tests.support.waiting import eventually
from workers.execution import executor
from workers.intake.delivery import Delivery, Verdict

#: Times that a best-effort delivery is put back into the buffer at most, until it is dropped.
_MOST_WAITS = 8


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    effects.create_table(settings)
    with store_worker(settings) as running:
        yield running


def _set(database: Database, change: str, job_id: UUID) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = %(id)s", {"id": job_id})


@pytest.mark.parametrize(
    "passing", [errors.DeadlockDetected, errors.LockNotAvailable, errors.QueryCanceled, errors.AdminShutdown]
)
def test_a_claim_that_postgres_refuses_for_a_moment_is_made_again(
    passing: type[Exception], settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    connection = RefusingConnection(worker, passing("not now"), passing("not now"))

    verdict = runtimes.run(runtimes.start(settings, database, connection), job_id)

    assert verdict is Verdict.ACK
    assert connection.refusals == []
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_job_with_an_error_that_no_database_can_store_is_retried_like_any_other(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    def raises(*_: object) -> None:
        raise ValueError("half a pair \ud800, a NUL \x00")

    (job_id,) = jobs.enqueue(database, LeaveEffect())

    verdict = runtimes.run(runtimes.start(settings, database, RefusingConnection(worker), leave_effect=raises), job_id)

    assert verdict is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "retrying"
    assert jobs.attempts(database, job_id)[0]["error_message"] == "half a pair ?, a NUL �"


def test_a_job_that_was_taken_over_while_it_ran_leaves_no_effect_and_no_end(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    def is_taken_over(context: Any, _: object) -> None:
        effects.leave(context)
        with database.transaction() as other:
            other.execute("update jobs set fence = fence + 1 where id = %(id)s", {"id": context.job_id})

    (job_id,) = jobs.enqueue(database, LeaveEffect())

    with capture_logs() as lines:
        runtimes.run(runtimes.start(settings, database, RefusingConnection(worker), leave_effect=is_taken_over), job_id)

    assert "fence_lost" in {line["event"] for line in lines}
    assert jobs.effects(database, [job_id]) == {}
    assert jobs.states(database, [job_id]) == {"running": 1}
    assert jobs.attempts(database, job_id) == []


@pytest.mark.parametrize("writes", [True, False])
def test_a_success_is_one_debug_line_with_its_job_kind_attempt_and_seconds(
    writes: bool, settings: AllSettings, database: Database, worker: StoreWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A test before this one may have configured logs as a process does, which binds the logger and its level for good.
    structlog.reset_defaults()
    monkeypatch.setattr(executor, "log", structlog.get_logger())
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    replaced = {} if writes else {"leave_effect": lambda *_: None}
    running = runtimes.start(settings, database, RefusingConnection(worker), **replaced)

    with capture_logs() as lines:
        runtimes.run(running, job_id)
        jobs.until_all(database, [job_id], "succeeded")
        eventually(lambda: lines, what="the line is written")

    (line,) = lines
    seconds = line.pop("seconds")
    assert 0 <= seconds < 60
    assert line == {
        "event": "job_succeeded",
        "log_level": "debug",
        "job_id": job_id,
        "job": "leave_effect",
        "attempt": 1,
        "correlation_id": None,
    }


def test_a_job_without_a_handler_or_of_another_version_is_parked_until_workers_know_it(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    unknown, newer = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set kind = 'of_tomorrow' where id = %(id)s", {"id": unknown})
        session.execute("update jobs set version = 2 where id = %(id)s", {"id": newer})
    running = runtimes.start(settings, database, RefusingConnection(worker))

    verdicts = [runtimes.run(running, job_id) for job_id in (unknown, newer)]

    assert verdicts == [Verdict.ACK, Verdict.ACK]
    assert jobs.states(database, [unknown, newer]) == {"scheduled": 2}
    for job_id in (unknown, newer):
        row = jobs.job(database, job_id)
        assert re.search("deploy (workers|a version) that", row["parked_reason"])
        assert row["attempt"] == 0
        assert [(one["outcome"], one["attempt"]) for one in jobs.attempts(database, job_id)] == [("parked", 0)]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("""payload || '{"since": "a newer version"}'""", "since: Extra inputs are not permitted"),
        ("""payload || '{"seconds": "many"}'""", "seconds: Input should be a valid number"),
        ("""payload || '{"rank": null}'""", "rank: Input should be a valid integer"),
    ],
    ids=["an optional field added by a newer version", "another type", "null"],
)
def test_a_payload_that_does_not_fit_this_workers_contract_waits_and_runs_once_it_fits(
    settings: AllSettings, database: Database, worker: StoreWorker, change: str, place: str
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    before = jobs.job(database, job_id)["payload"]
    _set(database, f"payload = {change}", job_id)
    running = runtimes.start(settings, database, RefusingConnection(worker))

    for _ in range(5):  # More often than the job has attempts.
        assert runtimes.run(running, job_id) is Verdict.ACK
        row = jobs.job(database, job_id)
        assert (row["state"], row["attempt"], row["error_class"]) == ("scheduled", 0, None)
        assert place in row["parked_reason"]
        _set(database, "due_at = now()", job_id)

    assert [one["outcome"] for one in jobs.attempts(database, job_id)] == ["parked"]
    with database.transaction() as session:
        assert [(one["kind"], one["jobs"], one["oldest_id"]) for one in status.parked(session)] == [
            ("leave_effect", 1, job_id)
        ]
        session.execute(
            "update jobs set payload = %(payload)s where id = %(id)s", {"payload": Jsonb(before), "id": job_id}
        )
    assert runtimes.run(running, job_id) is Verdict.ACK
    eventually(lambda: jobs.states(database, [job_id]) == {"succeeded": 1}, what="it ran")
    with database.transaction() as session:
        assert status.parked(session) == []


def test_a_message_of_no_job_is_rejected_and_one_of_a_job_that_is_not_due_is_done_with(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (later,) = jobs.enqueue(database, LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set due_at = now() + interval '1 hour'")
    running = runtimes.start(settings, database, RefusingConnection(worker))

    assert runtimes.run(running, new_id()) is Verdict.REJECT
    assert runtimes.run(running, later) is Verdict.ACK
    assert jobs.states(database, [later]) == {"scheduled": 1}


def test_a_worker_that_stops_while_postgres_is_down_settles_nothing(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    refusals = [errors.AdminShutdown("closed") for _ in range(99)]
    running = runtimes.start(settings, database, RefusingConnection(worker, *refusals))
    running.runtime.stop()

    assert runtimes.run(running, job_id) is None
    assert jobs.states(database, [job_id]) == {"scheduled": 1}


def test_jobs_that_are_claimed_here_when_their_kind_pauses_itself_wait_and_meet_no_outage(
    settings: AllSettings, database: Database, worker: StoreWorker, tmp_path: Path
) -> None:
    (tmp_path / "down").touch()
    ids = jobs.enqueue(database, *[Flaky(down=str(tmp_path / "down")) for _ in range(10)])
    running = runtimes.start(settings, database, RefusingConnection(worker))
    delivered = [runtimes.deliver(running, job_id) for job_id in ids]

    for one in delivered:
        running.runtime.run(one.delivery)

    assert {one.verdict for one in delivered} == {Verdict.ACK}
    assert [len(jobs.attempts(database, job_id)) for job_id in ids] == [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert jobs.states(database, ids) == {"retrying": 3, "scheduled": 7}


def test_what_is_claimed_and_not_started_is_released_to_the_relay_and_what_is_unclaimed_is_requeued(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    first, second, third = jobs.enqueue(database, LeaveEffect(), LeaveEffect(), LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    in_hand, claimed = runtimes.deliver(running, first), runtimes.deliver(running, second)
    assert running.buffer.take(in_hand.delivery) is not None
    unclaimed = runtimes.deliver(running, third)

    running.runtime.stop()

    assert jobs.job(database, second)["state"] == "scheduled"
    assert (claimed.verdicts, unclaimed.verdicts, in_hand.verdicts) == ([Verdict.ACK], [Verdict.REQUEUE], [])
    assert len(running.woken) == 1, "the relay publishes it at once"
    for one in (claimed, unclaimed):
        running.runtime.run(one.delivery)  # A thread that comes to it later.
    assert jobs.effects(database, [second, third]) == {}


def test_claims_that_cannot_be_released_stay_unsettled_and_are_rescued(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (first, second) = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    connection = RefusingConnection(worker)
    running = runtimes.start(settings, database, connection)
    in_hand, claimed = runtimes.deliver(running, first), runtimes.deliver(running, second)
    assert running.buffer.take(in_hand.delivery) is not None
    connection.refusals = [errors.AdminShutdown("closed")]

    running.runtime.stop()

    assert jobs.job(database, second)["state"] == "running"
    assert claimed.verdicts == []


def test_a_job_that_is_delivered_twice_runs_once(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    ready, message = runtimes.deliver(running, job_id, is_best_effort=True), runtimes.deliver(running, job_id)

    running.runtime.run(message.delivery)
    assert (message.verdict, jobs.job(database, job_id)["state"]) == (Verdict.ACK, "running"), "the first one has it"
    running.runtime.run(ready.delivery)

    assert ready.verdict is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "succeeded"
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_best_effort_delivery_waits_for_a_locked_row_and_is_dropped_when_its_job_has_ended(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    with database.transaction() as session:
        session.execute("select 1 from jobs where id = %(id)s for update", {"id": job_id})
        ready = runtimes.deliver(running, job_id, is_best_effort=True)
        thread = threading.Thread(target=running.runtime.run, args=[ready.delivery])
        thread.start()
        eventually(lambda: running.buffer.busy() == 1, what="a thread waits for the row")
    thread.join(20)

    late = runtimes.deliver(running, job_id, is_best_effort=True)
    running.runtime.run(late.delivery)

    assert (ready.verdict, late.verdict) == (Verdict.ACK, None)
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_best_effort_delivery_whose_row_stays_locked_is_dropped_without_a_claim_that_another_thread_made_for_it(
    settings: AllSettings, database: Database, worker: StoreWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, other_id = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    lock = database.transaction()
    lock.execute("select 1 from jobs where id = %(id)s for update", {"id": job_id})
    arrived = running.buffer.arrived

    def arrives_as_the_row_is_freed(delivery: Delivery) -> None:
        arrived(delivery)
        waits.append(delivery)
        if len(waits) == _MOST_WAITS:
            lock.release()
            runtimes.run(running, other_id)  # Claims all that is in the buffer.

    waits: list[Delivery] = []
    ready = runtimes.deliver(running, job_id, is_best_effort=True)
    monkeypatch.setattr(running.buffer, "arrived", arrives_as_the_row_is_freed)
    running.runtime.run(ready.delivery)
    monkeypatch.undo()
    lock.release()

    assert runtimes.run(running, job_id) is Verdict.ACK
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_second_message_of_a_job_whose_row_is_locked_keeps_no_second_thread(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    first = runtimes.deliver(running, job_id)
    with database.transaction() as session:
        session.execute("select 1 from jobs where id = %(id)s for update", {"id": job_id})
        thread = threading.Thread(target=running.runtime.run, args=[first.delivery])
        thread.start()
        eventually(lambda: running.buffer.busy() == 1, what="a thread waits for the row")

        assert runtimes.run(running, job_id) is Verdict.ACK
        assert first.verdict is None
    thread.join(20)

    assert first.verdict is Verdict.ACK
    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_a_claim_whose_answer_was_lost_is_made_again_and_releases_no_other_job(
    settings: AllSettings, database: Database, worker: StoreWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, unheard = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    (held,) = running.claims.claim([earlier])
    claim = store.claim
    lost: list[None] = []

    def cut_off_once(*args: Any, **parameters: Any) -> Any:
        claimed = claim(*args, **parameters)
        if not lost:
            lost.append(None)
            raise errors.AdminShutdown("the connection is lost")
        return claimed

    monkeypatch.setattr(store, "claim", cut_off_once)
    claimed = running.claims.claim([unheard, earlier])

    assert [one.id for one in claimed] == [unheard]
    assert claimed[0].fence == 2, "the first claim was released"
    assert jobs.job(database, earlier)["fence"] == held.fence
    assert jobs.states(database, [earlier, unheard]) == {"running": 2}


def test_a_claim_that_is_lost_before_its_attempt_starts_is_left_to_its_holder(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    running = runtimes.start(settings, database, RefusingConnection(worker))
    delivered = runtimes.deliver(running, job_id)
    other = runtimes.deliver(running, jobs.enqueue(database, LeaveEffect())[0])
    assert running.buffer.take(other.delivery) is not None  # It has claimed the first as well.
    with database.transaction() as session:
        session.execute("update jobs set fence = fence + 1")

    running.runtime.run(delivered.delivery)

    assert delivered.verdict is Verdict.ACK
    assert jobs.job(database, job_id)["state"] == "running"
    assert jobs.effects(database, [job_id]) == {}
