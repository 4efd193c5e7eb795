"""`moneyflow failed groups|list|show`: what failed and why, by filters, without secrets."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support.failures import fail_jobs, moneyflow

_ACTS = [[verb, "--reason", "repaired"] for verb in ("replay", "discard", "restore")]
ROLE = "operator"


def _listed(environment: dict[str, str], *options: object) -> set[UUID]:
    return {UUID(job["id"]) for job in moneyflow(environment, "failed", "list", "--json", *options).json["jobs"]}


def test_groups_show_count_first_last_and_sample_the_most_numerous_first(
    environment: dict[str, str], database: Database
) -> None:
    few = fail_jobs(database, 2, error_class="ValueError", message="row # is odd")
    many = fail_jobs(database, 5)
    fail_jobs(database, 1, kind="send_email")

    found = moneyflow(environment, "failed", "groups", "--json").json

    first, second, third = found["groups"]
    assert found["total"] == 8
    assert (first["kind"], first["error_class"], first["message"]) == (
        "leave_effect", "UnavailableError", "server <n> is down",
    )  # fmt: skip
    assert (first["jobs"], first["sample_id"], first["sample_message"]) == (5, str(many[-1]), "server 5 is down")
    span = datetime.fromisoformat(first["last_at"]) - datetime.fromisoformat(first["first_at"])
    assert span.total_seconds() == pytest.approx(4, abs=0.1)
    assert (second["jobs"], second["sample_id"]) == (2, str(few[-1]))
    assert third["kind"] == "send_email"


def test_a_groups_name_is_a_filter(environment: dict[str, str], database: Database) -> None:
    odd = fail_jobs(database, 2, error_class="ValueError", message="row # is odd")
    fail_jobs(database, 3)
    groups = moneyflow(environment, "failed", "groups", "--json").json["groups"]

    assert _listed(environment, "--group", groups[1]["group"]) == set(odd)


@pytest.fixture
def jobs_of_many_kinds(database: Database) -> dict[str, UUID]:
    """Return one failed job for each thing that filters distinguish."""
    return {
        "mail": fail_jobs(database, 1, kind="send_email", payload={"template": "activation"})[0],
        "value": fail_jobs(database, 1, error_class="ValueError", message="50% of nothing_at all")[0],
        "urgent": fail_jobs(database, 1, priority=9)[0],
        "old": fail_jobs(database, 1, ago_seconds=7200)[0],
        "plain": fail_jobs(database, 1)[0],
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--kind", "send_email"], {"mail"}),
        (["--kind", "send_email", "--kind", "leave_effect", "--priority", "9"], {"urgent"}),
        (["--error", "ValueError"], {"value"}),
        (["--error", "ValueError", "--kind", "send_email"], set()),
        (["--priority", "6-10"], {"urgent"}),
        (["--priority", "9", "--priority", "0-2"], {"urgent"}),
        (["--since", "1h"], {"mail", "value", "urgent", "plain"}),
        (["--until", "1h"], {"old"}),
        (["--until", (datetime.now(UTC) - timedelta(hours=1)).isoformat()], {"old"}),
        (["--text", "ACTIVATION"], {"mail"}),
        (["--text", "50% OF nothing_at"], {"value"}),
        (["--text", "nothing at"], set()),
        ([], {"mail", "value", "urgent", "old", "plain"}),
    ],
)
def test_filters_choose_by_kind_error_priority_time_and_text(
    environment: dict[str, str], jobs_of_many_kinds: dict[str, UUID], options: list[str], expected: set[str]
) -> None:
    assert _listed(environment, *options) == {jobs_of_many_kinds[name] for name in expected}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kind", "send_emial"], "did you mean send_email?"),
        (["--priority", "11"], "--priority 11: give 0 to 10"),
        (["--priority", "7-3"], "--priority 7-3"),
        (["--since", "yesterday"], "--since yesterday: give a time"),
        (["--until", "2026-13-01"], "--until 2026-13-01: give a time"),
    ],
)
def test_a_filter_that_cannot_be_read_names_its_option(
    environment: dict[str, str], options: list[str], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said.replace("?", r"\?")):
        moneyflow(environment, "failed", "list", *options)


def test_a_list_is_cut_at_its_limit_and_says_so(environment: dict[str, str], database: Database) -> None:
    ids = fail_jobs(database, 5)

    cut = moneyflow(environment, "failed", "list", "--limit", 2)
    found = moneyflow(environment, "failed", "list", "--limit", 2, "--json").json

    assert [job["id"] for job in found["jobs"]] == [str(ids[4]), str(ids[3])]
    assert found["total"] == 5
    assert "and 3 more" in cut.notes
    assert str(ids[4]) in cut.text


def test_what_comes_from_outside_is_printed_as_it_is(environment: dict[str, str], database: Database) -> None:
    fail_jobs(database, 1, message="[red]stop[/] [/nothing]")

    assert "[red]stop[/] [/nothing]" in moneyflow(environment, "failed", "list").text


def _payload(value: str) -> dict[str, Any]:
    return {"template": "activation", "api_key": value, "to": "ada@mail.example", "nested": [{"password": value}]}


def test_one_job_is_shown_with_its_attempts_and_its_payload_masked(
    environment: dict[str, str], database: Database
) -> None:
    (job_id,) = fail_jobs(database, 1, payload=_payload("hunter22"))

    text = moneyflow(environment, "failed", "show", job_id)
    found = moneyflow(environment, "failed", "show", job_id, "--json").json

    assert found["payload"] == {
        "template": "activation", "api_key": "***", "to": "***@mail.example", "nested": [{"password": "***"}],
    }  # fmt: skip
    (attempt,) = found["attempts"]
    assert (attempt["worker"], attempt["outcome"], attempt["fence"]) == ("worker-1", "failed", 4)
    assert found["correlation_id"] == "request-1"
    assert "Traceback" in text.text
    assert "server 1 is down" in text.text
    assert "hunter22" not in text.text + str(found)
    assert "ada@" not in text.text + str(found)


def test_a_job_that_is_not_there_is_reported_with_what_to_do(environment: dict[str, str]) -> None:
    with pytest.raises(NotFoundError, match="moneyflow failed list"):
        moneyflow(environment, "failed", "show", new_id())


@pytest.mark.parametrize("options", [["--group", "0123456789"], ["--batch", str(new_id())]], ids=lambda words: words[0])
@pytest.mark.parametrize("command", [["groups"], ["list"], ["list", "--state", "discarded"], *_ACTS], ids=" ".join)
def test_a_group_or_batch_that_does_not_exist_is_an_error_and_not_an_empty_table(
    environment: dict[str, str], database: Database, command: list[str], options: list[str]
) -> None:
    fail_jobs(database, 1)

    with pytest.raises(NotFoundError, match=r"there is no (group 0123456789 among .* jobs|batch)") as refused:
        moneyflow(environment, "failed", *command, *options)

    assert any("`moneyflow " in note for note in refused.value.__notes__)


@pytest.mark.parametrize("command", [["groups"], ["list"], ["replay", "--reason", "repaired"]], ids=" ".join)
def test_an_unknown_group_of_refused_messages_is_an_error_too(
    environment: dict[str, str], queues: AllSettings, command: list[str]
) -> None:
    with pytest.raises(NotFoundError, match=r"there is no group 0123456789 among"):
        moneyflow(environment, "failed", *command, "--refused", "--group", "0123456789")
