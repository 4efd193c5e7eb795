"""`purge`: old jobs go by themselves, and operators run, pause and resume its schedule."""

import json
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from moneyflow.jobs.purge import Purge
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import command_line, jobs
from tests.support.effects import LeaveEffect
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: As one was made on 3 November 2004.
_OLD = UUID("01000000-0000-7000-8000-000000000000")
Moneyflow = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def moneyflow(environment: dict[str, str]) -> Moneyflow:
    """Return the command line, as an operator runs it on this test's servers."""
    return partial(command_line.moneyflow, environment, "schedules")


def _listed(moneyflow: Moneyflow) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in _answer(moneyflow("list", "--json"))["schedules"]}


def _answer(done: "subprocess.CompletedProcess[str]") -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_old_job_is_deleted_and_a_young_one_is_not(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    _, young = jobs.enqueue(database, LeaveEffect(), LeaveEffect())
    with database.transaction() as session:
        session.execute("update jobs set id = %(old)s where id <> %(young)s", {"old": _OLD, "young": young})
    processes.relay()
    processes.worker()
    jobs.until_all(database, [_OLD, young], "succeeded")
    with database.transaction() as session:
        session.execute("update jobs set finished_at = now() - interval '8 days' where id = %(old)s", {"old": _OLD})

    (purge,) = jobs.enqueue(database, Purge())
    jobs.until_all(database, [purge], "succeeded")

    result = jobs.job(database, purge)["result"]
    assert (result["jobs"], result["done"]) == (1, True)
    assert jobs.states(database, [_OLD, young]) == {"succeeded": 1}


def test_an_operator_sees_runs_pauses_and_resumes_a_schedule(
    platform: AllSettings, database: Database, processes: Processes, moneyflow: Moneyflow
) -> None:
    processes.relay(sabotage="keeps_its_schedules")
    processes.worker()
    eventually(lambda: "purge" in _listed(moneyflow), what="the relay has declared the schedule")

    ran = moneyflow("run", "purge")
    job_id = UUID(ran.stdout.strip())
    jobs.until_all(database, [job_id], "succeeded")
    paused = _answer(moneyflow("pause", "purge", "--reason", "[bold] the disk is full", "--json"))
    row = _listed(moneyflow)["purge"]
    table = moneyflow("list").stdout
    resumed = _answer(moneyflow("resume", "purge", "--json"))
    after = _listed(moneyflow)["purge"]

    assert ran.returncode == 0
    assert (row["name"], row["cron"], row["time_zone"], row["overlap"]) == ("purge", "*/5 * * * *", "UTC", "skip")
    assert (row["last_job_id"], row["last_job_state"]) == (str(job_id), "succeeded")
    assert row["pause_reason"] == paused["reason"] == "[bold] the disk is full"
    assert row["paused_by"] == paused["paused_by"]
    assert "[bold] the disk is full" in table
    assert after["paused_at"] is None
    assert resumed["next_tick_at"][:19] == after["next_tick_at"][:19]


@pytest.mark.parametrize("command", [("run",), ("pause", "--reason", "x"), ("resume",)], ids=lambda c: str(c[0]))
def test_a_name_that_is_not_known_is_answered_with_what_was_probably_meant(
    database: Database, moneyflow: Moneyflow, command: tuple[str, ...]
) -> None:
    done = moneyflow(*command, "purje")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no schedule purje; did you mean purge?" in done.stderr
