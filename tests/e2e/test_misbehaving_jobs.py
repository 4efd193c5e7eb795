"""Jobs that hang, exit or break their connection: they end as failed, and no other job is affected."""

import psycopg

from moneyflow.platform.database import LOCK_TIMEOUT_SECONDS, Database
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.effects import LeaveEffect, Misbehave
from tests.support.processes import Processes
from tests.support.waiting import eventually


def _as_owner(settings: AllSettings) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(settings.conninfo("owner", application_name="test"))


def test_a_job_that_hangs_ends_its_process_until_its_attempts_are_used_up_and_its_neighbours_lose_none(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(sabotage="looks_often")
    neighbours = jobs.enqueue(database, *[LeaveEffect(seconds=0.1) for _ in range(4)])
    (hanging,) = jobs.enqueue(database, Misbehave(how="hang"))
    everything = [*neighbours, hanging]

    endings = []
    for _ in range(8):
        worker = processes.worker(sabotage="hangs_soon")
        eventually(
            lambda running=worker: (
                not running.is_running()  # type: ignore[misc]
                or sum(jobs.states(database, everything)[state] for state in ("succeeded", "failed")) == len(everything)
            ),
            seconds=40,
            what="the worker ended or all jobs ended",
        )
        if worker.is_running():
            break
        endings.append(worker.wait())

    assert jobs.job(database, hanging)["state"] == "failed"
    assert set(endings) == {70}
    assert jobs.effects(database, neighbours) == dict.fromkeys(neighbours, 1)
    assert {jobs.job(database, job_id)["attempt"] for job_id in neighbours} == {1}


def test_a_handler_that_exits_ends_its_attempt_and_not_its_worker(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay()
    worker = processes.worker(WORKER_THREADS="1")
    exits = jobs.enqueue(database, *[Misbehave(how="exit") for _ in range(3)])
    jobs.until_all(database, exits, "failed")

    good = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    jobs.until_all(database, good, "succeeded")

    assert worker.is_running()
    assert {attempt["error_class"] for attempt in jobs.attempts(database, exits[0])} == {"HandlerExitError"}


def test_a_handler_that_loses_its_connection_by_itself_uses_up_its_attempts(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay()
    processes.worker()
    (job_id,) = jobs.enqueue(database, Misbehave(how="lose_connection"))

    jobs.until_all(database, [job_id], "failed")

    assert [attempt["outcome"] for attempt in jobs.attempts(database, job_id)] == ["retried", "retried", "failed"]


def test_a_worker_whose_number_postgres_lost_takes_another_and_keeps_its_jobs(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(sabotage="looks_often")
    worker = processes.worker()
    eventually(lambda: "worker_registered" in worker.log(), what="the worker has its number")
    with _as_owner(platform) as connection:
        connection.execute("delete from workers")
    eventually(lambda: "worker_number_lost" in worker.log(), what="the worker noticed")

    ids = jobs.enqueue(database, LeaveEffect(seconds=2))
    jobs.until_all(database, ids, "succeeded")

    assert jobs.job(database, ids[0])["attempt"] == 1
    assert jobs.effects(database, ids) == {ids[0]: 1}


def test_a_row_that_another_session_has_locked_delays_no_other_job(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    (locked,) = jobs.enqueue(database, LeaveEffect())
    with _as_owner(platform) as connection:
        connection.execute("select 1 from jobs where id = %s for update", (locked,))
        processes.relay()
        processes.worker()

        others = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
        jobs.until_all(database, others, "succeeded", seconds=0.9 * LOCK_TIMEOUT_SECONDS)

    jobs.until_all(database, [locked], "succeeded")
    assert jobs.effects(database, [locked, *others]) == dict.fromkeys([locked, *others], 1)
