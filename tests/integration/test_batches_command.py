"""`moneyflow batches`: what operators see of a batch, and how they cancel one."""

from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from tests.support import jobs
from tests.support.command_line import moneyflow, moneyflow_json
from tests.support.effects import LeaveEffect
from tests.support.members import Gather


@pytest.fixture
def batch_id(database: Database) -> str:
    """Return a batch of three, of which one is done and one runs."""
    with database.transaction() as session:
        made = batches.submit(session, [LeaveEffect() for _ in range(3)], name="mails [v2]", on_end=Gather())
        rows = session.fetch_all("select id from jobs where batch_id = %(id)s order by id", {"id": made})
        for state, row in zip(("succeeded", "running"), rows, strict=False):
            session.execute("update jobs set state = %(state)s where id = %(id)s", {"state": state, "id": row["id"]})
    return str(made)


def test_batches_are_listed_for_people_and_for_programs(environment: dict[str, str], batch_id: str) -> None:
    printed = moneyflow(environment, "batches", "list")
    (listed,) = moneyflow_json(environment, "batches", "list", "--state", "open")["batches"]

    assert printed.returncode == 0
    assert all(text in printed.stdout for text in (batch_id, "mails [v2]", "1 of 3, 33%", "1 succeeded"))
    assert (listed["id"], listed["name"], listed["total"], listed["done"]) == (batch_id, "mails [v2]", 3, 1)
    assert moneyflow_json(environment, "batches", "list", "--state", "ended") == {"batches": []}


def test_one_batch_is_shown_with_its_end(environment: dict[str, str], batch_id: str) -> None:
    printed = moneyflow(environment, "batches", "show", batch_id)
    shown = moneyflow_json(environment, "batches", "show", batch_id)

    assert shown["counts"] == {"scheduled": 1, "running": 1, "succeeded": 1}
    assert (shown["state"], shown["on_failure"], shown["sealed"]) == ("open", "continue", True)
    assert shown["end_job_id"] in printed.stdout


def test_a_batch_is_shown_with_the_lines_that_were_refused(
    environment: dict[str, str], database: Database, batch_id: str
) -> None:
    with database.transaction() as session:
        batches.refuse(session, UUID(batch_id), [batches.Refusal(line=3, reason="invalid: name must not be empty")])

    printed = moneyflow(environment, "batches", "show", batch_id)
    shown = moneyflow_json(environment, "batches", "show", batch_id)

    assert shown["refused"] == [{"line": 3, "reason": "invalid: name must not be empty"}]
    assert "invalid: name must not be empty" in printed.stdout


def test_cancelling_needs_a_reason_and_reports_how_many_jobs_were_cancelled(
    environment: dict[str, str], batch_id: str, database: Database
) -> None:
    without_reason = moneyflow(environment, "batches", "cancel", batch_id)
    cancelled = moneyflow_json(environment, "batches", "cancel", batch_id, "--reason", "wrong people")
    again = moneyflow(environment, "batches", "cancel", batch_id, "--reason", "again")

    assert (without_reason.returncode, "--reason" in without_reason.stderr) == (2, True)
    assert (cancelled["state"], cancelled["jobs_cancelled"]) == ("cancelled", 2)
    assert cancelled["counts"] == {"cancelled": 1, "running": 1, "succeeded": 1}
    assert (again.returncode, "it is cancelled already" in again.stderr) == (2, True)
    assert jobs.job(database, cancelled["end_job_id"])["state"] == "cancelled"


def test_an_unknown_batch_and_an_id_that_is_none_are_named(environment: dict[str, str]) -> None:
    unknown = str(new_id())

    for command in ("show", "cancel"):
        reason = ["--reason", "any"] if command == "cancel" else []
        missing = moneyflow(environment, "batches", command, unknown, *reason)
        malformed = moneyflow(environment, "batches", command, "no-id", *reason)
        assert (missing.returncode, f"there is no batch {unknown}" in missing.stderr) == (2, True)
        assert (malformed.returncode, "Invalid value for 'ID'" in malformed.stderr) == (2, True)
