"""`moneyflow jobs find|cancel|run-now`: jobs by every filter, acted on in bulk as recorded operations."""

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.failed.filters import ShownState
from moneyflow.platform.jobs.models.job import JobState
from moneyflow.platform.jobs.store import control
from tests.support import jobs, people
from tests.support.effects import LeaveEffect
from tests.support.failures import fail_jobs, moneyflow
from tests.support.members import Gather

_WHY = ("--reason", "the vendor was closed", "--by", "ada")


def _set(database: Database, change: str, *ids: UUID) -> None:
    with database.transaction() as session:
        session.execute(f"update jobs set {change} where id = any(%(ids)s)", {"ids": list(ids)})


def _later(database: Database, count: int) -> list[UUID]:
    """Enqueue jobs that are due in an hour."""
    with database.transaction() as session:
        return enqueue_many(session, [LeaveEffect() for _ in range(count)], delay=timedelta(hours=1))


def _found(environment: dict[str, str], *options: object) -> set[UUID]:
    return {UUID(job["id"]) for job in moneyflow(environment, "jobs", "find", "--json", *options).json["jobs"]}


def _results(report: dict[str, Any]) -> dict[UUID, str]:
    return {UUID(item["job_id"]): item["result"] for item in report["items"]}


@pytest.fixture
def person(database: Database) -> people.Person:
    """Return a person with an account."""
    return people.sign_up(database, name="Ada")


@pytest.fixture
def waiting(database: Database, person: people.Person) -> dict[str, UUID]:
    """Return one waiting job for each thing that filters distinguish."""
    with database.transaction() as session:
        session.execute("delete from jobs")  # That of the sign-up.
        batch = batches.submit(session, [LeaveEffect()], name="mails")
    named = dict(zip(("plain", "urgent", "old", "text", "error"), _later(database, 5), strict=True))
    (about,) = jobs.enqueue(database, SendWelcome(user_id=person.user_id))
    _set(database, "priority = 9", named["urgent"])
    _set(database, "enqueued_at = now() - interval '2 hours'", named["old"])
    _set(database, "correlation_id = 'request-77'", named["text"])
    _set(
        database,
        "attempt = 1, error_class = 'ValueError', error_message = 'row 5 is odd', error_group = 'row … is odd'",
        named["error"],
    )
    with database.transaction() as session:
        (member,) = session.fetch_all("select id from jobs where batch_id = %(id)s", {"id": batch})
    return named | {"person": about, "member": member["id"], "batch": batch}


_FILTERS = [
    (["--kind", "send_welcome"], {"person"}),
    (["--kind", "send_welcome", "--state", "queued"], set()),
    (["--state", "retrying"], {"error"}),
    (["--state", "retrying", "--state", "scheduled", "--priority", "9"], {"urgent"}),
    (["--error", "ValueError"], {"error"}),
    (["--group", "{group}"], {"error"}),
    (["--priority", "6-10"], {"urgent"}),
    (["--since", "1h"], {"plain", "urgent", "text", "error", "person", "member"}),
    (["--until", "1h"], {"old"}),
    (["--text", "REQUEST-77"], {"text"}),
    (["--batch", "{batch}"], {"member"}),
    (["--person", "{person_id}"], {"person"}),
    (["--person", "{address}"], {"person"}),
    (["--person", "{address}", "--kind", "leave_effect"], set()),
]


@pytest.fixture
def words(database: Database, waiting: dict[str, UUID], person: people.Person) -> dict[str, object]:
    """Return what is known only once the jobs are there."""
    group = "left(md5(concat(kind, chr(31), error_class, chr(31), error_group)), 10)"
    with database.transaction() as session:
        row = session.fetch_one(f"select {group} as id from jobs where id = %(id)s", {"id": waiting["error"]})
    assert row is not None
    known = {"person_id": person.user_id, "address": person.email.swapcase()}
    return {"batch": waiting["batch"], "group": row["id"], **known}


@pytest.mark.parametrize(("options", "expected"), _FILTERS)
def test_every_filter_finds_and_previews_the_same_jobs(
    environment: dict[str, str],
    waiting: dict[str, UUID],
    words: dict[str, object],
    options: list[str],
    expected: set[str],
) -> None:
    given = [option.format(**words) for option in options]

    found = _found(environment, *given)
    cancel = moneyflow(environment, "jobs", "cancel", *given, "--dry-run", "--json").json

    assert found == {waiting[name] for name in expected}
    assert _results(cancel) == {waiting[name]: "cancelled" for name in expected}
    assert _found(environment) == set(waiting.values()) - {waiting["batch"]}


def test_failed_jobs_are_found_by_batch_and_person_too(
    environment: dict[str, str], database: Database, waiting: dict[str, UUID], person: people.Person
) -> None:
    fail_jobs(database, 1)
    _set(
        database,
        "state = 'failed', error_class = 'ValueError', finished_at = now()",
        waiting["member"],
        waiting["person"],
    )

    def failed(*options: object) -> list[str]:
        return [job["id"] for job in moneyflow(environment, "failed", "list", "--json", *options).json["jobs"]]

    assert failed("--batch", waiting["batch"]) == [str(waiting["member"])]
    assert failed("--person", person.email) == [str(waiting["person"])]


def test_waiting_jobs_are_cancelled_running_ones_asked_and_each_keeps_who_and_why(
    environment: dict[str, str], database: Database
) -> None:
    later, queued, retrying, limited, running, ended = _later(database, 6)
    _set(database, "state = 'queued'", queued)
    _set(database, "attempt = 1", retrying)
    _set(database, "waits_for = 'limit', limit_name = 'smtp'", limited)
    _set(database, "state = 'running', worker = 1, lease_until = now() + interval '1 hour'", running)
    _set(database, "state = 'succeeded'", ended)

    dry = moneyflow(environment, "jobs", "cancel", "--all", "--dry-run", "--json").json
    answer = moneyflow(environment, "jobs", "cancel", "--all", *_WHY, "--json")
    again = moneyflow(environment, "jobs", "cancel", later, running, *_WHY, "--json")

    expected = dict.fromkeys((later, queued, retrying, limited), "cancelled") | {running: "asked to stop"}
    assert answer.code == 0
    assert _results(dry) == _results(answer.json) == expected
    operation = answer.json["operation"]
    assert (operation["verb"], operation["asked_by"], operation["reason"]) == ("cancel", "ada", "the vendor was closed")
    assert jobs.states(database, expected) == {"cancelled": 4, "running": 1}
    assert jobs.job(database, running)["cancel_requested_at"] is not None
    (kept,) = moneyflow(environment, "jobs", "show", queued, "--json").json["operations"]
    assert (kept["verb"], kept["result"], kept["reason"]) == ("cancel", "cancelled", "the vendor was closed")
    assert (again.code, again.json["results"]) == (0, {"already done": 2})
    assert jobs.states(database, [ended]) == {"succeeded": 1}


def test_a_thousand_cancels_take_a_second_or_two(environment: dict[str, str], database: Database) -> None:
    ids = _later(database, 1000)

    began = time.monotonic()
    answer = moneyflow(environment, "jobs", "cancel", "--kind", "leave_effect", "--yes", *_WHY, "--json")
    seconds = time.monotonic() - began

    assert answer.json["results"] == {"cancelled": 1000}
    assert jobs.states(database, ids) == {"cancelled": 1000}
    assert seconds < 10, "a loop of single cancels takes minutes"


def test_jobs_are_made_due_now_and_each_that_cannot_run_is_answered(
    environment: dict[str, str], database: Database
) -> None:
    later, retrying, limited, due, paused, queued, failed = _later(database, 7)
    _set(database, "attempt = 1", retrying)
    _set(database, "waits_for = 'limit', limit_name = 'smtp'", limited)
    _set(database, "due_at = now()", due, paused)
    _set(database, "kind = 'send_welcome'", paused)
    _set(database, "state = 'queued'", queued)
    _set(database, "state = 'failed'", failed)
    with database.transaction() as session:
        batch = batches.open(session, name="mails", on_end=Gather())
        end_job = batches.status(session, batch).end_job_id
        control.pause(session, "send_welcome", by="ada", reason="it moves")
    assert end_job is not None
    ids = [later, retrying, limited, due, paused, queued, failed, end_job]

    answer = moneyflow(environment, "jobs", "run-now", *ids, *_WHY, "--json")

    details = {UUID(item["job_id"]): item["detail"] for item in answer.json["items"]}
    now = dict.fromkeys((later, retrying, limited), "due now")
    assert answer.code == 1
    assert _results(answer.json) == now | dict.fromkeys((due, paused, queued), "already done") | dict.fromkeys(
        (failed, end_job), "wrong state"
    )
    assert (details[paused], details[failed]) == ("it is due; its kind is paused", "it is failed")
    assert details[end_job] == "it waits for the end of its batch"
    moment = jobs.now(database)
    assert all(jobs.job(database, job_id)["due_at"] <= moment for job_id in now)
    assert jobs.job(database, limited)["waits_for"] == "limit"
    assert jobs.job(database, retrying)["attempt"] == 1


def test_a_rate_spreads_what_is_made_due_over_its_due_times(environment: dict[str, str], database: Database) -> None:
    ids = _later(database, 10)
    before = datetime.now(UTC)

    moneyflow(environment, "jobs", "run-now", "--all", "--rate", "600/m", *_WHY)

    dues = [jobs.job(database, job_id)["due_at"] for job_id in ids]
    gaps = {round((second - first).total_seconds(), 3) for first, second in itertools.pairwise(dues)}
    assert gaps == {0.1}
    assert dues[0] - before < timedelta(minutes=1)


def test_a_job_that_started_after_the_freeze_is_not_made_due_again(
    environment: dict[str, str], database: Database
) -> None:
    first, second = _later(database, 2)
    stopped = moneyflow(environment, "jobs", "run-now", first, second, "--canary", 1, "--canary-timeout", 0, *_WHY)
    _set(database, "fence = fence + 1, attempt = 1", second)
    (operation,) = moneyflow(environment, "failed", "operations", "--json").json["operations"]

    resumed = moneyflow(environment, "jobs", "run-now", "--resume", operation["id"], "--json")

    assert stopped.code == 1
    assert f"moneyflow jobs run-now --resume {operation['id']}" in stopped.text
    assert _results(resumed.json) == {first: "due now", second: "already done"}
    assert jobs.job(database, second)["due_at"] > jobs.now(database)


@pytest.mark.parametrize("command", ["cancel", "run-now"])
def test_acts_on_waiting_jobs_ask_for_a_reason_and_a_choice_and_have_the_brake(
    environment: dict[str, str], database: Database, command: str
) -> None:
    ids = _later(database, 21)

    with pytest.raises(InvalidInputError, match=r"which ones\?.*moneyflow jobs find"):
        moneyflow(environment, "jobs", command, *_WHY)
    with pytest.raises(InvalidInputError, match=f"{command} asks for a reason"):
        moneyflow(environment, "jobs", command, "--all")
    if command == "cancel":
        with pytest.raises(InvalidInputError, match="cancel would act on 21 items: add --yes"):
            moneyflow(environment, "jobs", command, "--all", *_WHY)
    else:
        answer = moneyflow(environment, "jobs", command, "--all", *_WHY, "--canary-timeout", 0)
        assert "21 items: a canary of 5 goes first" in answer.notes

    assert jobs.states(database, ids) == {"scheduled": 21}


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        (["--kind", "leave_efect"], InvalidInputError, "there is no job kind 'leave_efect'; did you mean"),
        (["--group", "0123456789"], NotFoundError, "there is no group 0123456789 among the jobs"),
        (["--batch", str(new_id())], NotFoundError, "there is no batch"),
        (["--person", "unknown@mail.example"], NotFoundError, "no account has this address"),
        (["--person", "ada"], InvalidInputError, "--person ada: give a person's id, or their e-mail address"),
    ],
)
@pytest.mark.parametrize("command", [["find"], ["cancel", *_WHY], ["run-now", *_WHY]])
def test_what_a_filter_names_must_exist(
    environment: dict[str, str],
    database: Database,
    command: list[str],
    options: list[str],
    error: type[Exception],
    reason: str,
) -> None:
    with pytest.raises(error, match=reason):
        moneyflow(environment, "jobs", *command, *options)


def test_a_payload_that_only_contains_the_id_in_a_longer_text_is_not_about_the_person(
    environment: dict[str, str], database: Database
) -> None:
    about = uuid4()
    nested, longer = _later(database, 2)
    _set(database, f"""payload = '{{"people": [{{"id": "{about}"}}]}}'""", nested)
    _set(database, f"""payload = '{{"note": "not {about}"}}'""", longer)

    assert _found(environment, "--person", about) == {nested}


def test_the_states_of_filters_are_those_of_jobs_and_retrying() -> None:
    assert {state.value for state in ShownState} == {state.value for state in JobState} | {"retrying"}


def test_a_list_that_is_cut_says_so(environment: dict[str, str], database: Database) -> None:
    ids: list[UUID] = _later(database, 3)

    cut = moneyflow(environment, "jobs", "find", "--limit", 2)
    whole = moneyflow(environment, "jobs", "find", "--limit", 3)

    assert ("and more" in cut.notes, str(ids[0]) in cut.text) == (True, False)
    assert ("and more" in whole.notes, str(ids[0]) in whole.text) == (False, True)
