"""Cancel a job, pause a kind: at once where it waits, by its own consent where it runs."""

from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import Database
from moneyflow.platform.errors import ConflictError, FenceLostError, NotFoundError
from moneyflow.platform.jobs.policy import Breaker
from moneyflow.platform.jobs.store import claims, completion, control
from moneyflow.platform.jobs.store.claims import Claim, Standing
from moneyflow.platform.jobs.store.completion import End, Failure, Outcome, Success
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.kinds import LimitedReach, OneAtATime
from tests.support.relay_queries import QUERIES
from tests.support.store_worker import StoreWorker, store_worker
from tests.support.waiting import eventually

_BREAKER = Breaker(errors=3, probe_seconds=10, longest_probe_seconds=30)
_WHY = Failure(error_class="X", message="x")


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings) as running:
        yield running


@pytest.fixture
def relay(settings: AllSettings) -> Iterator[Connection[DictRow]]:
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def _running(database: Database, worker: StoreWorker, job: LeaveEffect | OneAtATime) -> Claim:
    (job_id,) = jobs.enqueue(database, job)
    (claim,) = claims.claim(worker.connection, [job_id], worker=worker.number)
    return claim


def _cancel(database: Database, claim: Claim) -> str:
    with database.transaction() as session:
        return control.cancel(session, claim.id)


@pytest.mark.parametrize("state", ["scheduled", "queued", "retrying"])
def test_a_job_that_waits_is_cancelled_at_once_and_its_message_then_does_nothing(
    state: str, database: Database, worker: StoreWorker
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    jobs.change(database, job_id, state=state)
    with database.transaction() as session:
        assert control.cancel(session, job_id) == "cancelled"

    assert jobs.states(database, [job_id]) == {"cancelled": 1}
    assert claims.claim(worker.connection, [job_id], worker=worker.number) == []
    assert claims.standing(worker.connection, job_id) is Standing.SETTLED


def test_a_job_that_runs_is_asked_and_hears_of_it_with_its_next_report(database: Database, worker: StoreWorker) -> None:
    claim = _running(database, worker, LeaveEffect())
    assert claims.report(worker.connection, claim, {"done": 1, "total": 2, "note": None}) is False

    assert _cancel(database, claim) == "running"

    assert claims.report(worker.connection, claim, None) is True
    assert jobs.job(database, claim.id)["progress"] == {"done": 1, "total": 2, "note": None}


def test_a_job_that_was_asked_to_stop_is_not_retried(database: Database, worker: StoreWorker) -> None:
    claim = _running(database, worker, OneAtATime(name="a"))
    _cancel(database, claim)

    with database.transaction() as session:
        completion.end(session, claim, End(outcome=Outcome.RETRIED), _WHY, worker="w")

    row = jobs.job(database, claim.id)
    assert (row["state"], row["unique_key"]) == ("cancelled", None)
    assert [one["outcome"] for one in jobs.attempts(database, claim.id)] == ["cancelled"]


def test_a_job_that_was_asked_to_stop_and_lost_its_worker_ends(
    settings: AllSettings, database: Database, relay: Connection[DictRow], worker: StoreWorker
) -> None:
    with store_worker(settings) as dying:
        claim = _running(database, dying, OneAtATime(name="a"))
        _cancel(database, claim)

    assert claims.standing(worker.connection, claim.id) is Standing.SETTLED
    eventually(lambda: relay.execute(QUERIES["rescue"], {"limit": 10}).fetchall(), what="its lock is released")

    row = jobs.job(database, claim.id)
    assert (row["state"], row["unique_key"]) == ("cancelled", None)
    assert row["finished_at"] is not None


def test_a_job_that_succeeds_before_it_hears_of_it_has_succeeded(database: Database, worker: StoreWorker) -> None:
    claim = _running(database, worker, LeaveEffect())
    _cancel(database, claim)

    with database.transaction() as session:
        completion.succeed(session, Success(claim=claim), worker="w")

    assert jobs.states(database, [claim.id]) == {"succeeded": 1}
    with pytest.raises(ConflictError, match="is succeeded already"):
        _cancel(database, claim)


def test_an_unknown_job_cannot_be_cancelled(database: Database) -> None:
    with pytest.raises(NotFoundError), database.transaction() as session:
        control.cancel(session, uuid4())


def test_a_worker_that_lost_the_job_may_not_report_on_it(database: Database, worker: StoreWorker) -> None:
    claim = _running(database, worker, LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set fence = fence + 1")

    with pytest.raises(FenceLostError):
        claims.report(worker.connection, claim, {"done": 1})


def test_a_paused_kind_is_neither_published_nor_begun_until_it_is_resumed(
    database: Database, worker: StoreWorker, relay: Connection[DictRow]
) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    with database.transaction() as session:
        control.pause(session, "leave_effect", by="ada", reason="the disk is full")

    def due() -> list[UUID]:
        return [row["id"] for row in relay.execute(QUERIES["due_jobs"], {"limit": 5}).fetchall()]

    assert due() == []
    assert relay.execute(QUERIES["next_due_seconds"]).fetchone() == {"seconds": None}
    assert claims.claim(worker.connection, [job_id], worker=worker.number) == []
    with database.transaction() as session:
        (paused,) = control.paused(session)
        assert (paused["kind"], paused["paused_by"], paused["pause_reason"]) == (
            "leave_effect", "ada", "the disk is full",
        )  # fmt: skip
        assert control.resume(session, "leave_effect")
        assert not control.resume(session, "leave_effect")
    assert due() == [job_id]
    assert len(claims.claim(worker.connection, [job_id], worker=worker.number)) == 1


def test_a_message_of_a_paused_kind_lets_its_job_wait_in_postgres(database: Database, worker: StoreWorker) -> None:
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set state = 'queued'")
        control.pause(session, "leave_effect", by="ada", reason="why not")

    assert claims.standing(worker.connection, job_id) is Standing.PAUSED
    claims.unqueue(worker.connection, job_id)

    assert jobs.states(database, [job_id]) == {"scheduled": 1}
    assert claims.standing(worker.connection, job_id) is Standing.SETTLED


def test_a_breaker_never_replaces_an_operators_pause_and_an_operator_may_replace_a_breakers(
    database: Database,
) -> None:
    with database.transaction() as session:
        assert control.trip(session, "leave_effect", reason="down", breaker=_BREAKER)
        assert not control.trip(session, "leave_effect", reason="down again", breaker=_BREAKER)
        control.pause(session, "leave_effect", by="ada", reason="I am on it")
        assert not control.trip(session, "leave_effect", reason="down", breaker=_BREAKER)
        (paused,) = control.paused(session)

    assert (paused["paused_by"], paused["probe_at"]) == ("ada", None)


def test_of_a_kind_that_paused_itself_one_job_is_probed_and_its_success_ends_the_pause(
    database: Database, worker: StoreWorker, relay: Connection[DictRow]
) -> None:
    first, second = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        control.trip(session, "leave_effect", reason="down", breaker=_BREAKER)
    assert relay.execute(QUERIES["choose_probes"]).fetchall() == [], "it is too early"
    with database.transaction() as session:
        session.execute("update job_kinds set probe_at = clock_timestamp()")

    (probe,) = relay.execute(QUERIES["choose_probes"]).fetchall()

    assert probe["probe_job_id"] == first
    assert [row["id"] for row in relay.execute(QUERIES["due_jobs"], {"limit": 5})] == [first]
    (claim,) = claims.claim(worker.connection, [first, second], worker=worker.number)
    assert (claim.id, claim.is_probe) == (first, True)
    with database.transaction() as session:
        assert not control.probe_succeeded(session, "leave_effect", second)
        assert control.probe_succeeded(session, "leave_effect", first)
    assert [row["id"] for row in relay.execute(QUERIES["due_jobs"], {"limit": 5})] == [second]


def _trip_and_probe(database: Database, kind: str) -> None:
    """Pause the kind by its breaker, and have its probe due now."""
    with database.transaction() as session:
        control.trip(session, kind, reason="down", breaker=_BREAKER)
        session.execute("update job_kinds set probe_at = clock_timestamp()")


def _chosen(relay: Connection[DictRow]) -> list[UUID]:
    return [row["probe_job_id"] for row in relay.execute(QUERIES["choose_probes"])]


def _change(database: Database, job_id: UUID, change: str) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = %(id)s", {"id": job_id})


def _fail_probe(database: Database, worker: StoreWorker, job_id: UUID) -> None:
    """Have the probe meet the outage, and the next one be due."""
    (claim,) = claims.claim(worker.connection, [job_id], worker=worker.number)
    with database.transaction() as session:
        completion.end(session, claim, End(outcome=Outcome.SNOOZED), _WHY, worker="w")
        control.probe_failed(session, claim.kind, claim.id, _BREAKER)
        session.execute("update job_kinds set probe_at = clock_timestamp()")


def test_the_probe_is_the_most_urgent_due_job_that_has_not_failed_since_the_pause(
    database: Database, worker: StoreWorker, relay: Connection[DictRow]
) -> None:
    oldest, urgent, later, failed_before = jobs.enqueue(database, *[LeaveEffect() for _ in range(4)])
    _change(database, urgent, "priority = 9")
    _change(database, later, "priority = 10, due_at = clock_timestamp() + interval '1 hour', attempt = 3")
    _change(database, failed_before, "priority = 8")
    (claim,) = claims.claim(worker.connection, [failed_before], worker=worker.number)
    with database.transaction() as session:
        completion.end(session, claim, End(outcome=Outcome.RETRIED), _WHY, worker="w")
    _trip_and_probe(database, "leave_effect")

    probes = []
    for _ in range(3):
        (probe,) = _chosen(relay)
        probes.append(probe)
        _fail_probe(database, worker, probe)

    assert probes == [urgent, failed_before, oldest], "each of them once, the most urgent first"
    assert _chosen(relay) == [urgent], "all that is due has failed, so it is the most urgent once more"


def test_a_kind_of_which_nothing_is_due_is_probed_by_the_job_that_waits_for_its_next_attempt(
    database: Database, relay: Connection[DictRow]
) -> None:
    retried, new = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    _change(database, retried, "due_at = clock_timestamp() + interval '2 hours', attempt = 3")
    _change(database, new, "due_at = clock_timestamp() + interval '1 hour'")
    _trip_and_probe(database, "leave_effect")

    assert _chosen(relay) == [retried], "a job that was enqueued for later does not start earlier"


def test_a_probe_that_ends_without_an_answer_lets_the_next_be_chosen_at_once(
    database: Database, worker: StoreWorker, relay: Connection[DictRow]
) -> None:
    first, second = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    _trip_and_probe(database, "leave_effect")
    assert _chosen(relay) == [first]
    (claim,) = claims.claim(worker.connection, [first], worker=worker.number)

    with database.transaction() as session:
        completion.end(session, claim, End(outcome=Outcome.FAILED), _WHY, worker="w")
        control.probe_inconclusive(session, claim.kind, second)
        assert _probing(database) == [first], "only the probe itself can say so"
        control.probe_inconclusive(session, claim.kind, first)

    assert _chosen(relay) == [second]


def _probing(database: Database) -> list[UUID | None]:
    with database.transaction() as session:
        return [row["probe_job_id"] for row in session.fetch_all("select probe_job_id from job_kinds")]


def test_a_paused_kind_gives_up_the_places_that_its_waiting_jobs_hold_and_its_probe_keeps_one(
    database: Database, relay: Connection[DictRow]
) -> None:
    ids = jobs.enqueue(database, *[LimitedReach() for _ in range(3)])
    probe, held, queued = ids
    for job_id in ids:
        _change(database, job_id, "waits_for = null")
    _change(database, queued, "state = 'queued'")
    _trip_and_probe(database, "limited_reach")
    assert _chosen(relay) == [probe]

    released = relay.execute(QUERIES["release_places"]).rowcount

    assert released == 1
    assert [jobs.job(database, job_id)["waits_for"] for job_id in ids] == [None, "limit", None]
    relay.execute(QUERIES["mark_published"], {"ids": [held], "fences": [0]})
    assert jobs.job(database, held)["state"] == "scheduled", "a message that was on its way changes nothing"


def test_each_probe_that_fails_makes_the_next_one_wait_twice_as_long_up_to_a_longest(database: Database) -> None:
    jobs.enqueue(database, LeaveEffect())
    with database.transaction() as session:
        control.trip(session, "leave_effect", reason="down", breaker=_BREAKER)
        waits = []
        for _ in range(3):
            job_id = uuid4()
            session.execute("update job_kinds set probe_job_id = %(id)s", {"id": job_id})
            control.probe_failed(session, "leave_effect", job_id, _BREAKER)
            row = session.fetch_one("select probe_wait_seconds as wait, probe_job_id from job_kinds")
            assert row is not None
            assert row["probe_job_id"] is None
            waits.append(row["wait"])

    assert waits == [20, 30, 30]


def test_a_job_that_was_asked_to_stop_is_not_parked(database: Database, worker: StoreWorker) -> None:
    claim = _running(database, worker, OneAtATime(name="a"))
    _cancel(database, claim)

    with database.transaction() as session:
        completion.end(session, claim, End(outcome=Outcome.PARKED, wait_seconds=60), _WHY, worker="w")

    row = jobs.job(database, claim.id)
    assert (row["state"], row["unique_key"]) == ("cancelled", None)
