"""A worker that dies, freezes or is asked to stop: nothing is lost, and every effect happens once."""

import signal
from pathlib import Path

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import KillProcess, LeaveEffect, Overrun, begun
from tests.support.processes import Processes
from tests.support.waiting import eventually


@pytest.mark.parametrize("point", ["dies_at:worker.before_finish:1", "dies_at:worker.finished:1"])
def test_a_job_whose_worker_is_killed_at_a_named_point_has_its_effect_once(
    point: str, platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    dying = processes.worker(sabotage=point)
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    dying.wait()

    processes.worker()
    jobs.until_all(database, [job_id], "succeeded")

    assert jobs.effects(database, [job_id]) == {job_id: 1}


def test_the_jobs_of_a_killed_worker_start_elsewhere_long_before_their_lease_has_expired(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    processes.relay(wait_ready=False)
    first = processes.worker(WORKER_LEASE_SECONDS="3600")
    ids = jobs.enqueue(database, *[LeaveEffect(held_by=str(hold)) for _ in range(4)])
    jobs.until_all(database, ids, "running")
    second = processes.worker()

    first.kill()
    eventually(lambda: any(jobs.job(database, job_id)["quarantined"] for job_id in ids), what="a job was taken over")
    hold.unlink()
    jobs.until_all(database, ids, "succeeded")

    assert second.is_running()
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_job_that_kills_its_process_fails_after_its_attempts_and_its_neighbours_lose_none(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    neighbours = jobs.enqueue(database, *[LeaveEffect(seconds=0.2) for _ in range(6)])
    (killer,) = jobs.enqueue(database, KillProcess())
    neighbours += jobs.enqueue(database, *[LeaveEffect(seconds=0.2) for _ in range(6)])
    everything = [*neighbours, killer]

    deaths = 0
    for _ in range(12):
        worker = processes.worker(wait_ready=False)  # It may be dead before it is ready.
        eventually(
            lambda running=worker: (
                not running.is_running()  # type: ignore[misc]
                or sum(jobs.states(database, everything)[state] for state in ("succeeded", "failed")) == len(everything)
            ),
            what="the worker died or all jobs ended",
        )
        if worker.is_running():
            break
        deaths += 1

    policy = KillProcess.retry
    assert jobs.job(database, killer)["state"] == "failed"
    assert deaths == policy.attempts + 1, "the first start is not counted: which job killed it is not known yet"
    assert jobs.states(database, neighbours) == {"succeeded": len(neighbours)}
    assert jobs.effects(database, neighbours) == dict.fromkeys(neighbours, 1)
    assert {jobs.job(database, job_id)["attempt"] for job_id in neighbours} == {1}


def _a_frozen_worker_comes_back(sabotage: str, database: Database, processes: Processes, hold: Path) -> int:
    """Freeze a worker in the middle of a job, let another take over, thaw the first; return the job's effects."""
    processes.relay(sabotage="looks_often", wait_ready=False)
    frozen = processes.worker(sabotage=sabotage, LOG_LEVEL="debug")
    (job_id,) = jobs.enqueue(database, LeaveEffect(held_by=str(hold)))
    eventually(lambda: begun(hold), what="the job has begun")
    frozen.signal(signal.SIGSTOP)
    hold.unlink()
    processes.worker()
    jobs.until_all(database, [job_id], "succeeded")
    frozen.signal(signal.SIGCONT)
    eventually(
        lambda: "fence_lost" in frozen.log() or "job_succeeded" in frozen.log(),
        what="the thawed worker ended its attempt",
    )
    return jobs.effects(database, [job_id])[job_id]


def test_a_frozen_workers_job_runs_elsewhere_after_its_lease_and_the_zombie_changes_nothing(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    assert _a_frozen_worker_comes_back("nothing", database, processes, hold) == 1


def test_without_the_fence_the_zombies_effect_is_there_too(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    assert _a_frozen_worker_comes_back("without_fence", database, processes, hold) == 2


def test_a_job_over_its_time_limit_is_rescued_and_its_late_effect_is_dropped(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(sabotage="looks_often", wait_ready=False)
    processes.worker()
    (job_id,) = jobs.enqueue(database, Overrun())

    jobs.until_all(database, [job_id], "succeeded", seconds=40)

    assert jobs.effects(database, [job_id]) == {job_id: 1}
    assert [attempt["outcome"] for attempt in jobs.attempts(database, job_id)][:1] == ["lost"]


def test_a_worker_that_is_asked_to_stop_finishes_what_runs_and_releases_the_rest(
    platform: AllSettings, database: Database, processes: Processes, hold: Path
) -> None:
    processes.relay(wait_ready=False)
    worker = processes.worker()
    ids = jobs.enqueue(database, *[LeaveEffect(held_by=str(hold)) for _ in range(8)])
    eventually(lambda: begun(hold) == 4, what="each thread has begun one")

    worker.signal(signal.SIGTERM)
    eventually(lambda: "worker_stopping" in worker.log(), what="the worker stops")
    hold.unlink()
    exit_code = worker.stop()

    after = jobs.states(database, ids)
    assert exit_code == 0
    assert after == {"succeeded": 4, "queued": 4}
    processes.worker()
    jobs.until_all(database, ids, "succeeded")
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
    assert not any(attempt["outcome"] == "lost" for job_id in ids for attempt in jobs.attempts(database, job_id))
