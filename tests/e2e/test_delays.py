"""A job may be due years from now: until then it costs a row, and no memory of any process."""

from datetime import timedelta

import psutil

from moneyflow.platform.brokers.rabbitmq import JOBS_QUEUE
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue, enqueue_many
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import Process, Processes

_TEN_YEARS = timedelta(days=3652)
_MANY = 20_000


def _resident_bytes(process: Process) -> int:
    assert process.popen is not None
    return int(psutil.Process(process.popen.pid).memory_info().rss)


def test_twenty_thousand_jobs_of_the_next_decade_cost_no_memory_and_delay_no_other_job(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    relay, worker = processes.relay(), processes.worker()
    warm_up = jobs.enqueue(database, *[LeaveEffect() for _ in range(50)])
    jobs.until_all(database, warm_up, "succeeded")
    before = [_resident_bytes(process) for process in (relay, worker)]

    with database.transaction() as session:
        far_off = enqueue_many(session, [LeaveEffect(rank=10)] * _MANY, delay=_TEN_YEARS)
    due_now = jobs.enqueue(database, *[LeaveEffect(rank=0) for _ in range(50)])
    jobs.until_all(database, due_now, "succeeded")

    assert jobs.states(database, far_off) == {"scheduled": _MANY}
    assert rabbitmq_admin.ready(platform, JOBS_QUEUE) == 0
    after = [_resident_bytes(process) for process in (relay, worker)]
    assert all(later < 1.15 * earlier for earlier, later in zip(before, after, strict=True)), (before, after)


def test_a_job_of_a_far_off_day_runs_on_that_day_once(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    with database.transaction() as session:
        after_a_delay = enqueue(session, LeaveEffect(), delay=_TEN_YEARS)
        at_a_moment = enqueue(session, LeaveEffect(), at=jobs.now(database) + _TEN_YEARS)
    ids = [after_a_delay, at_a_moment]
    waits = [jobs.job(database, job_id)["due_at"] - jobs.now(database) for job_id in ids]
    processes.relay()
    processes.worker()

    with database.transaction() as session:  # The ten years pass.
        session.execute("update jobs set due_at = due_at - %(years)s", {"years": _TEN_YEARS})
    jobs.until_all(database, ids, "succeeded")

    assert all(timedelta(0) <= _TEN_YEARS - wait < timedelta(minutes=1) for wait in waits)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)
