"""`moneyflow jobs` and `moneyflow queue`: kinds described, jobs found, shown, cancelled and enqueued, kinds paused."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import jsonschema
import pytest

from moneyflow.jobs import registry
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.store import control
from tests.support import jobs
from tests.support.command_line import moneyflow, moneyflow_json

_ROOT = Path(__file__).parents[2]
_PRODUCT = {kind for kind, contract in registry.items() if contract.__module__.startswith("moneyflow.jobs.")}


def _mail() -> SendEmail:
    return SendEmail(template="welcome", user_id=uuid4())


def _set(database: Database, change: str, job_id: UUID) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = %(id)s", {"id": job_id})


def test_every_kind_is_described_from_its_contract(environment: dict[str, str]) -> None:
    printed = moneyflow(environment, "jobs", "list")
    described = {kind["kind"]: kind for kind in moneyflow_json(environment, "jobs", "list")["jobs"]}

    assert described.keys() == _PRODUCT
    assert all(kind in printed.stdout for kind in _PRODUCT)
    welcome, mail = described["send_welcome"], described["send_email"]
    assert welcome["does"] == "Send the welcome mail to a user, once in the account's life."
    assert welcome["fields"] == [{"name": "user_id", "type": "UUID", "required": True}]
    assert welcome["unique"] == {"for_seconds": None, "while_unfinished": False}
    assert (mail["unique"], mail["priority"], mail["version"]) == (None, 5, 1)
    assert mail["retry"]["attempts"] == SendEmail.retry.attempts
    jsonschema.validate({"template": "welcome", "user_id": str(uuid4())}, mail["schema"])
    with pytest.raises(jsonschema.ValidationError, match="'user_id' is a required property"):
        jsonschema.validate({"template": "welcome"}, mail["schema"])


def test_jobs_are_found_by_state_and_kind(environment: dict[str, str], database: Database) -> None:
    first, second, third = jobs.enqueue(database, _mail(), _mail(), SendWelcome(user_id=uuid4()))
    _set(database, "state = 'failed', error_class = 'PermanentError', error_message = 'no [such] box'", first)

    everything = [job["id"] for job in moneyflow_json(environment, "jobs", "find")["jobs"]]
    newest = moneyflow_json(environment, "jobs", "find", "--kind", "send_email", "--limit", "1")["jobs"]
    printed = moneyflow(environment, "jobs", "find", "--state", "failed")

    assert everything == [str(job_id) for job_id in (third, second, first)]
    assert [job["id"] for job in newest] == [str(second)]
    assert "PermanentError: no [such] box" in printed.stdout
    assert str(second) not in printed.stdout


def test_one_job_is_shown_with_its_progress_and_without_personal_data(
    environment: dict[str, str], database: Database
) -> None:
    (job_id,) = jobs.enqueue(database, _mail())
    progress = '{"done": 3, "total": 4, "note": "for ada@mail.example"}'
    _set(database, f"state = 'running', progress = '{progress}', result = '{{\"token\": \"hush\"}}'", job_id)

    printed = moneyflow(environment, "jobs", "show", str(job_id))
    shown = moneyflow_json(environment, "jobs", "show", str(job_id))
    missing = moneyflow(environment, "jobs", "show", str(new_id()))

    assert (shown["id"], shown["state"], shown["attempts"]) == (str(job_id), "running", [])
    assert shown["progress"] == {"done": 3, "total": 4, "note": "for ***@mail.example"}
    assert shown["result"] == {"token": "***"}
    assert "ada@" not in printed.stdout
    assert (missing.returncode, "there is no job" in missing.stderr) == (2, True)


def test_a_job_that_waits_is_cancelled_one_that_runs_is_asked_and_one_that_ended_is_refused(
    environment: dict[str, str], database: Database
) -> None:
    waiting, running, ended = jobs.enqueue(database, _mail(), _mail(), _mail())
    _set(database, "state = 'running'", running)
    _set(database, "state = 'succeeded'", ended)

    why = ("--reason", "a mistake")
    cancelled = moneyflow_json(environment, "jobs", "cancel", str(waiting), *why)
    asked = moneyflow(environment, "jobs", "cancel", str(running), *why)
    refused = moneyflow(environment, "jobs", "cancel", str(ended), *why)
    unknown = moneyflow(environment, "jobs", "cancel", str(new_id()), *why)

    assert cancelled["results"] == {"cancelled": 1}
    assert (asked.returncode, "asked to stop" in asked.stdout) == (0, True)
    assert (refused.returncode, "it is succeeded" in refused.stdout) == (1, True)
    assert (unknown.returncode, "there is no such job" in unknown.stdout) == (2, True)
    assert jobs.states(database, [waiting, running, ended]) == {"cancelled": 1, "running": 1, "succeeded": 1}


def test_a_job_is_enqueued_by_hand_now_or_later_with_its_own_or_another_priority(
    environment: dict[str, str], database: Database
) -> None:
    payload = f'{{"template": "activation", "user_id": "{uuid4()}"}}'

    plain = moneyflow(environment, "jobs", "enqueue", "send_email", payload)
    delayed = moneyflow_json(environment, "jobs", "enqueue", "send_email", payload, "--delay", "90m", "--priority", "1")
    dated = moneyflow_json(environment, "jobs", "enqueue", "send_email", payload, "--at", "2037-01-31T09:00:00+02:00")

    own = jobs.job(database, UUID(plain.stdout.strip()))
    later = jobs.job(database, UUID(delayed["job_id"]))
    assert (own["priority"], own["state"], own["payload"]["template"]) == (9, "scheduled", "activation")
    assert (later["priority"], delayed["is_new"]) == (1, True)
    assert timedelta(minutes=89) < later["due_at"] - datetime.now(UTC) <= timedelta(minutes=90)
    assert jobs.job(database, UUID(dated["job_id"]))["due_at"] == datetime(2037, 1, 31, 7, tzinfo=UTC)


def test_a_unique_job_that_is_there_is_named_and_not_enqueued_again(
    environment: dict[str, str], database: Database
) -> None:
    user_id = uuid4()
    (first,) = jobs.enqueue(database, SendWelcome(user_id=user_id))

    payload = f'{{"user_id": "{user_id}"}}'
    again = moneyflow_json(environment, "jobs", "enqueue", "send_welcome", payload)
    printed = moneyflow(environment, "jobs", "enqueue", "send_welcome", payload)

    assert (again["job_id"], again["is_new"]) == (str(first), False)
    assert printed.stdout == f"{first} exists already, scheduled\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["send_emial", "{}"], "KIND: there is no job kind 'send_emial'; did you mean send_email?"),
        (["zzz", "{}"], "`moneyflow jobs list` lists the kinds"),
        (["send_welcome", "{}"], "user_id: Field required. The payload of send_welcome is user_id: UUID"),
        (["send_welcome", '{"user_id": 5}'], "user_id: UUID input should be"),
        (["send_welcome", f'{{"user_id": "{uuid4()}", "colour": 1}}'], "colour: Extra inputs are not permitted"),
        (["send_welcome", "user_id=5"], "JSON: Invalid JSON"),
        (["send_welcome", "[]"], "JSON: Input should be an object"),
        (["send_welcome", "{}", "--delay", "soon"], "--delay: give a number and one of s, m, h and d"),
        (["send_welcome", "{}", "--delay", "99999999999999d"], "--delay: 99999999999999d is too long"),
        (["send_welcome", "{}", "--at", "tomorrow"], "--at: 'tomorrow' is not a time"),
        (["send_welcome", "{}", "--at", "2037-01-31T09:00:00"], "has no time zone"),
        (["send_welcome", "{}", "--at", "2037-01-31T09:00:00Z", "--delay", "1h"], "give either --delay or --at"),
        (["send_welcome", "{}", "--priority", "11"], "--priority"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_enqueued(
    arguments: list[str], reason: str, environment: dict[str, str], database: Database
) -> None:
    refused = moneyflow(environment, "jobs", "enqueue", *arguments)

    assert refused.returncode == 2
    assert reason in refused.stderr
    with database.transaction() as session:
        assert session.fetch_all("select 1 from jobs") == []


def test_a_kind_is_paused_with_its_reason_shown_and_resumed_once(
    environment: dict[str, str], database: Database
) -> None:
    paused = moneyflow_json(environment, "queue", "pause", "send_email", "--reason", "the [mail] server moves")
    printed = moneyflow(environment, "queue", "status")
    (shown,) = moneyflow_json(environment, "queue", "status")["paused"]
    resumed = moneyflow_json(environment, "queue", "resume", "send_email")
    again = moneyflow(environment, "queue", "resume", "send_email")

    assert (paused["kind"], paused["reason"]) == ("send_email", "the [mail] server moves")
    assert (shown["kind"], shown["pause_reason"]) == ("send_email", "the [mail] server moves")
    assert (shown["paused_by"], shown["probe_at"]) == (paused["paused_by"], None)
    assert "the [mail] server moves" in printed.stdout
    assert resumed == {"kind": "send_email", "resumed": True}
    assert (again.returncode, "send_email is not paused" in again.stderr) == (2, True)
    with database.transaction() as session:
        assert control.paused(session) == []


def test_a_pause_needs_a_reason_and_a_kind_that_is_there(environment: dict[str, str]) -> None:
    silent = moneyflow(environment, "queue", "pause", "send_email")
    unknown = moneyflow(environment, "queue", "pause", "send_mail", "--reason", "any")

    assert (silent.returncode, "--reason" in silent.stderr) == (2, True)
    assert (unknown.returncode, "did you mean send_email?" in unknown.stderr) == (2, True)


def test_what_no_worker_can_read_is_shown_with_its_reason_and_the_oldest_job(
    environment: dict[str, str], database: Database
) -> None:
    first, second, _ = jobs.enqueue(database, *[_mail() for _ in range(3)])
    for job_id in (first, second):
        _set(database, "parked_reason = 'deploy version 2'", job_id)

    (parked,) = moneyflow_json(environment, "queue", "status")["parked"]
    printed = moneyflow(environment, "queue", "status").stdout

    assert (parked["kind"], parked["reason"], parked["jobs"]) == ("send_email", "deploy version 2", 2)
    assert parked["oldest_id"] == str(first)
    assert "deploy version 2" in printed
    assert str(first) in printed


def test_how_all_jobs_stand_is_counted_by_kind_priority_and_state(
    environment: dict[str, str], database: Database
) -> None:
    due, later, running, failed, done = jobs.enqueue(database, *[_mail() for _ in range(5)])
    _set(database, "due_at = now() - interval '90 seconds'", due)
    _set(database, "due_at = now() + interval '1 hour', waits_for = 'limit'", later)
    _set(database, "state = 'running', worker = 1", running)
    for state, job_id in (("failed", failed), ("succeeded", done)):
        _set(database, f"state = '{state}'", job_id)
    with database.transaction() as session:
        enqueue(session, SendEmail(template="activation", user_id=uuid4()))

    standing = moneyflow_json(environment, "queue", "status")["jobs"]

    counted = {(row["kind"], row["priority"], row["state"]): (row["jobs"], row["blocked"]) for row in standing}
    assert counted == {
        ("send_email", 9, "scheduled"): (1, 0),
        ("send_email", 5, "scheduled"): (2, 1),
        ("send_email", 5, "running"): (1, 0),
        ("send_email", 5, "failed"): (1, 0),
    }
    ages = {row["state"]: row["oldest_due_seconds"] for row in standing if row["priority"] == 5}
    assert ages == {"scheduled": pytest.approx(90, abs=20), "running": None, "failed": None}


_IMPORTED = """
import sys
from ops.cli import main
sys.argv = ["moneyflow", *sys.argv[1:]]
main()
sys.stderr.write("\\n".join(sys.modules))
"""


@pytest.mark.parametrize(
    "command",
    [
        "queue status",
        "jobs find",
        "failed groups",
        "failed list",
        "failed operations",
        "batches list",
        "schedules list",
    ],
)
def test_a_command_that_only_reads_imports_no_client_of_another_server(
    environment: dict[str, str], command: str
) -> None:
    words = [sys.executable, "-c", _IMPORTED, *command.split()]

    done = subprocess.run(
        words, cwd=_ROOT, env=os.environ | environment, capture_output=True, text=True, check=True, timeout=60
    )

    assert {"redis", "kombu", "pika", "aiokafka", "falcon", "dramatiq", "alembic"} & set(done.stderr.split()) == set()
