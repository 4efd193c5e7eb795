"""Claims: a job goes to one worker at a time, and what a dead worker held is quarantined."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import claims, heartbeat
from moneyflow.platform.jobs.store.claims import Standing
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect
from tests.support.store_worker import StoreWorker, store_worker
from tests.support.waiting import eventually


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings, "first") as running:
        yield running


@pytest.fixture
def other(settings: AllSettings) -> Iterator[StoreWorker]:
    with store_worker(settings, "second") as running:
        yield running


def _some(database: Database, count: int) -> list[UUID]:
    return jobs.enqueue(database, *[LeaveEffect() for _ in range(count)])


def _claim(worker: StoreWorker, *ids: UUID) -> list[claims.Claim]:
    return claims.claim(worker.connection, ids, worker=worker.number)


def _standing(worker: StoreWorker, job_id: UUID) -> Standing:
    return claims.standing(worker.connection, job_id)


def _set(database: Database, change: str) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change}")


def _dies(worker: StoreWorker, seen_by: StoreWorker) -> None:
    """End the worker's connection, as a kill does, and wait until Postgres has noticed."""
    worker.connection.close()
    eventually(
        lambda: (
            seen_by.connection.execute(
                "select 1 from live_workers where number = %(number)s", {"number": worker.number}
            ).fetchone()
            is None
        ),
        what="the worker is dead",
    )


def test_a_buffer_is_claimed_with_all_that_a_job_needs_to_run(database: Database, worker: StoreWorker) -> None:
    ids = _some(database, 3)

    found = {claim.id: claim for claim in _claim(worker, *ids, new_id())}

    assert found.keys() == set(ids)
    claim = found[ids[0]]
    assert (claim.kind, claim.version, claim.priority, claim.attempt, claim.fence) == ("leave_effect", 1, 5, 1, 1)
    assert claim.payload == LeaveEffect().model_dump(mode="json")
    assert claim.max_attempts == LeaveEffect.retry.attempts
    assert 0 <= claim.wait_seconds < 60
    row = jobs.job(database, ids[0])
    assert (row["state"], row["worker"], row["attempt"]) == ("running", worker.number, 0)
    assert 55 < (row["lease_until"] - row["started_at"]).total_seconds() <= 61


def test_a_job_that_a_live_worker_holds_is_claimed_by_no_other_worker(
    database: Database, worker: StoreWorker, other: StoreWorker
) -> None:
    (job_id,) = _some(database, 1)
    _claim(worker, job_id)

    assert _claim(other, job_id) == []
    assert claims.claim_quarantined(other.connection, job_id, worker=other.number) is None
    assert _standing(other, job_id) is Standing.SETTLED
    assert jobs.job(database, job_id)["worker"] == worker.number


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "discarded"])
def test_a_finished_job_is_never_claimed(state: str, database: Database, worker: StoreWorker) -> None:
    (job_id,) = _some(database, 1)
    _set(database, f"state = '{state}'")

    assert _claim(worker, job_id) == []
    assert claims.claim_quarantined(worker.connection, job_id, worker=worker.number) is None
    assert _standing(worker, job_id) is (Standing.FAILED if state == "failed" else Standing.SETTLED)


@pytest.mark.parametrize("state", ["scheduled", "queued", "retrying"])
def test_a_job_is_claimed_once_it_is_due_and_not_before(state: str, database: Database, worker: StoreWorker) -> None:
    (job_id,) = _some(database, 1)
    _set(database, f"{jobs.shown_as(state)}, due_at = now() + interval '1 hour'")
    early, stood = _claim(worker, job_id), _standing(worker, job_id)
    _set(database, "due_at = now() - interval '1 second'")

    assert (early, stood) == ([], Standing.SETTLED)
    assert _standing(worker, job_id) is Standing.CLAIMABLE
    assert [claim.id for claim in _claim(worker, job_id)] == [job_id]


def test_a_job_that_does_not_exist_is_unknown(worker: StoreWorker) -> None:
    assert _standing(worker, new_id()) is Standing.UNKNOWN
    assert claims.claim_quarantined(worker.connection, new_id(), worker=worker.number) is None


def test_a_killed_workers_job_is_taken_over_alone_and_its_lost_claim_is_kept_uncounted(
    database: Database, worker: StoreWorker, other: StoreWorker
) -> None:
    (job_id,) = _some(database, 1)
    (lost,) = _claim(worker, job_id)
    _dies(worker, seen_by=other)

    buffered, stood = _claim(other, job_id), _standing(other, job_id)
    taken = claims.claim_quarantined(other.connection, job_id, worker=other.number)

    assert (buffered, stood) == ([], Standing.QUARANTINED)
    assert taken is not None
    assert (taken.attempt, taken.fence) == (1, lost.fence + 1)
    row = jobs.job(database, job_id)
    assert (row["quarantined"], row["attempt"], row["worker"]) == (True, 1, other.number)
    (kept,) = jobs.attempts(database, job_id)
    assert (kept["outcome"], kept["attempt"], kept["fence"], kept["worker"]) == ("lost", 0, lost.fence, "first")


def test_a_quarantined_job_that_kills_again_has_lost_an_attempt_that_counts(
    settings: AllSettings, database: Database
) -> None:
    (job_id,) = _some(database, 1)
    with store_worker(settings, "watching") as watching:
        with store_worker(settings, "one") as one:
            _claim(one, job_id)
            _dies(one, seen_by=watching)
        for attempt in (1, 2):
            with store_worker(settings, "next") as following:
                taken = claims.claim_quarantined(following.connection, job_id, worker=following.number)
                assert taken is not None
                assert taken.attempt == attempt
                _dies(following, seen_by=watching)
        last = claims.claim_quarantined(watching.connection, job_id, worker=watching.number)

    assert last is not None
    assert last.attempt == 3
    assert [row["attempt"] for row in jobs.attempts(database, job_id)] == [0, 1, 2]


def test_a_worker_whose_heartbeat_stopped_is_dead_after_its_lease(
    settings: AllSettings, database: Database, other: StoreWorker
) -> None:
    (job_id,) = _some(database, 1)
    with store_worker(settings, "frozen", lease_seconds=0.2) as frozen:
        _claim(frozen, job_id)
        heartbeat.beat(frozen.connection, frozen.number)

        eventually(lambda: _standing(other, job_id) is Standing.QUARANTINED, what="the lease ended")
        assert claims.claim_quarantined(other.connection, job_id, worker=other.number) is not None


def test_a_job_over_its_time_limit_is_taken_over_from_a_live_worker(
    database: Database, worker: StoreWorker, other: StoreWorker
) -> None:
    (job_id,) = _some(database, 1)
    (claim,) = _claim(worker, job_id)
    _set(database, "lease_until = now() - interval '1 second'")

    assert _standing(other, job_id) is Standing.QUARANTINED
    assert claims.claim_quarantined(other.connection, job_id, worker=other.number) is not None
    assert claims.renew(worker.connection, claim) is False


def test_a_lease_is_renewed_by_its_holder(database: Database, worker: StoreWorker) -> None:
    (job_id,) = _some(database, 1)
    (claim,) = _claim(worker, job_id)
    _set(database, "lease_until = now() + interval '1 second'")

    assert claims.renew(worker.connection, claim) is True
    row = jobs.job(database, job_id)
    assert (row["lease_until"] - row["started_at"]).total_seconds() == pytest.approx(60, abs=1)


def test_a_released_job_waits_again_and_has_lost_nothing(
    database: Database, worker: StoreWorker, other: StoreWorker
) -> None:
    ids = _some(database, 2)
    found = _claim(worker, *ids)
    _set(database, f"fence = fence + 1 where id = '{ids[1]}'")

    claims.release(worker.connection, found)

    assert jobs.job(database, ids[0])["state"] == "scheduled"
    assert jobs.job(database, ids[1])["state"] == "running", "it was taken over meanwhile"
    (again,) = _claim(other, ids[0])
    assert (again.attempt, again.fence) == (1, 2)
    assert jobs.attempts(database, ids[0]) == []
