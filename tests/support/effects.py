"""Jobs of the tests: their effect is a row in a table without any constraint, so that a second one is seen."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Literal
from uuid import UUID

import psycopg

from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.settings import AllSettings
from workers.handlers import Context, Result, handles

_QUICK = RetryPolicy(attempts=3, base_seconds=0.05, cap_seconds=0.2)


class LeaveEffect(Job, kind="leave_effect", priority=5, retry=_QUICK, time_limit_seconds=60, breaker=None):
    """Wait, then leave a row; fail the first `failures` attempts, for good when `permanent`.

    It waits for `seconds`, and for as long as the file `held_by` is there; `begun` counts those that wait so.
    """

    seconds: float = 0
    held_by: str = ""
    failures: int = 0
    permanent: bool = False
    rank: int = 5

    def message_priority(self) -> int:
        """Return the priority that the test gave."""
        return self.rank


class KillProcess(Job, kind="kill_process", priority=5, retry=_QUICK, time_limit_seconds=60):
    """Kill the process that runs it, each time."""


class Overrun(Job, kind="overrun", priority=5, retry=_QUICK, time_limit_seconds=1):
    """Take longer than the time limit on the first attempt."""


class Misbehave(Job, kind="misbehave", priority=5, retry=_QUICK, time_limit_seconds=1):
    """Hang for ever, ask the process to exit, or lose the connection with Postgres, each time."""

    how: Literal["hang", "exit", "lose_connection"]


def create_table(settings: AllSettings) -> None:
    """Make the table of effects in this test's database."""
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute("create table effects (job_id uuid not null, attempt integer not null)")
        connection.execute("grant insert, select on effects to app, worker, operator")


@handles(LeaveEffect)
def leave_effect(context: Context, job: LeaveEffect) -> Result:
    time.sleep(job.seconds)
    if job.held_by:
        _wait_until_deleted(Path(job.held_by), context.job_id)
    if context.attempt <= job.failures:
        raise UnavailableError("password=hunter22 was refused for now")
    if job.permanent:
        raise PermanentError("this will never work")
    leave(context)
    return {"left": True}


@handles(KillProcess)
def kill_process(_context: Context, _job: KillProcess) -> Result:
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@handles(Overrun)
def overrun(context: Context, _job: Overrun) -> Result:
    if context.attempt == 1:
        time.sleep(3)
    leave(context)
    return None


def begun(hold: Path) -> int:
    """Count the jobs that have begun to wait for the file."""
    return len(list(hold.parent.glob(f"{hold.name}.*")))


def _wait_until_deleted(hold: Path, job_id: UUID) -> None:
    hold.with_name(f"{hold.name}.{job_id}").touch()
    while hold.exists():
        time.sleep(0.02)


@handles(Misbehave)
def misbehave(context: Context, job: Misbehave) -> Result:
    if job.how == "hang":
        threading.Event().wait()
    if job.how == "exit":
        sys.exit("the handler has had enough")
    context.session.execute("select pg_terminate_backend(pg_backend_pid())")
    return None


def leave(context: Context) -> None:
    """Leave the effect of the job that runs."""
    context.session.execute(
        "insert into effects values (%(id)s, %(attempt)s)", {"id": context.job_id, "attempt": context.attempt}
    )
