"""How an attempt ends: only for the holder of the fence, in the transaction of its effects, with its error kept."""

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.store import claims, completion
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import End, Failure, Outcome, Success
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.store_worker import StoreWorker, store_worker

_WHY = Failure(error_class="UnavailableError", message="not now", traceback="Traceback …")

_RETRY = End(outcome=Outcome.RETRIED, wait_seconds=30)
_FAIL = End(outcome=Outcome.FAILED)

Write = Callable[[Session, Claim], None]
_ENDS: dict[str, Write] = {
    "succeeded": lambda session, claim: completion.succeed(
        session, Success(claim=claim, result={"left": True}), worker="w"
    ),
    "retrying": lambda session, claim: completion.end(session, claim, _RETRY, _WHY, worker="w"),
    "failed": lambda session, claim: completion.end(session, claim, _FAIL, _WHY, worker="w"),
}


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings) as running:
        yield running


def _claimed(database: Database, worker: StoreWorker) -> Claim:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    (claim,) = claims.claim(worker.connection, [job_id], worker=worker.number)
    return claim


def _end(database: Database, claim: Claim, end: Write) -> None:
    with database.transaction() as session:
        end(session, claim)


def _dead_letters(settings: AllSettings) -> list[tuple[UUID, int]]:
    database = Database(settings.conninfo("relay", application_name="test"), size=1)
    database.open()
    with database.transaction() as session:
        rows = session.fetch_all("select job_id, fence from job_dead_letters")
    database.close()
    return [(row["job_id"], row["fence"]) for row in rows]


def test_a_job_that_succeeded_keeps_its_result_and_its_attempt(database: Database, worker: StoreWorker) -> None:
    claim = _claimed(database, worker)

    _end(database, claim, _ENDS["succeeded"])

    row = jobs.job(database, claim.id)
    assert (row["state"], row["attempt"], row["result"]) == ("succeeded", 1, {"left": True})
    assert (row["worker"], row["lease_until"]) == (None, None)
    assert row["finished_at"] >= row["started_at"]
    (kept,) = jobs.attempts(database, claim.id)
    assert (kept["outcome"], kept["attempt"], kept["fence"], kept["worker"]) == ("succeeded", 1, 1, "w")


def test_a_job_to_be_retried_waits_and_keeps_the_error(database: Database, worker: StoreWorker) -> None:
    claim = _claimed(database, worker)

    _end(database, claim, _ENDS["retrying"])

    row = jobs.job(database, claim.id)
    (kept,) = jobs.attempts(database, claim.id)
    assert (row["state"], row["attempt"], row["finished_at"]) == ("retrying", 1, None)
    assert (row["due_at"] - kept["ended_at"]).total_seconds() == pytest.approx(30, abs=1)
    assert (kept["outcome"], kept["error_class"], kept["error_message"]) == ("retried", "UnavailableError", "not now")


def test_a_job_that_failed_leaves_one_dead_letter_with_its_last_attempt(
    settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    claim = _claimed(database, worker)

    _end(database, claim, _ENDS["failed"])

    assert jobs.job(database, claim.id)["state"] == "failed"
    assert _dead_letters(settings) == [(claim.id, claim.fence)]
    assert jobs.attempts(database, claim.id)[0]["error_traceback"] == "Traceback …"


@pytest.mark.parametrize("end", _ENDS)
def test_a_worker_that_lost_its_fence_ends_nothing_and_its_effects_are_rolled_back(
    end: str, settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    claim = _claimed(database, worker)
    with database.transaction() as session:
        session.execute("update jobs set fence = fence + 1")

    def work() -> None:
        with database.transaction() as session:
            enqueue(session, LeaveEffect())
            _ENDS[end](session, claim)

    with pytest.raises(FenceLostError):
        work()

    assert jobs.job(database, claim.id)["state"] == "running"
    assert jobs.attempts(database, claim.id) == []
    assert _dead_letters(settings) == []
    with database.transaction() as session:
        assert len(session.fetch_all("select 1 from jobs")) == 1, "what the attempt enqueued is rolled back"


@pytest.mark.parametrize("end", _ENDS)
def test_an_attempt_ends_once(end: str, database: Database, worker: StoreWorker) -> None:
    claim = _claimed(database, worker)
    _end(database, claim, _ENDS[end])

    for second in _ENDS.values():
        with pytest.raises(FenceLostError):
            _end(database, claim, second)

    assert jobs.job(database, claim.id)["state"] == end
    assert len(jobs.attempts(database, claim.id)) == 1


@pytest.mark.parametrize(("end", "wakes"), [("succeeded", False), ("retrying", True), ("failed", True)])
def test_an_end_that_leaves_work_for_the_relay_wakes_it(
    end: str, wakes: bool, settings: AllSettings, database: Database, worker: StoreWorker
) -> None:
    woken: list[str] = []
    waking = Database(
        settings.conninfo("worker", application_name="test"), size=1, notify=lambda *_: woken.append("now")
    )
    waking.open()
    claim = _claimed(database, worker)

    _end(waking, claim, _ENDS[end])
    waking.close()

    assert bool(woken) is wakes
