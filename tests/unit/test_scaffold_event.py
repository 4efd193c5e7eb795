"""`moneyflow new event`: the key and subject that it gets, and the options that are refused."""

from pathlib import Path
from typing import Any

import pytest

from moneyflow.platform.errors import ConflictError, InvalidInputError
from ops.dev.scaffold.event import TOPICS, files_of, new_event

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("type", "subject", "key"),
    [
        ("user.waved", "user_id", "user_id"),
        ("auth.waved", "user_id", "user_id"),
        ("transaction.waved", "transaction_id", "user_id"),
        ("specimen.found", "specimen_id", "user_id"),
    ],
)
def test_an_event_has_the_subject_and_the_key_of_its_topic(type: str, subject: str, key: str) -> None:
    event = new_event(type)

    assert (event.subject, event.key) == (subject, key)
    assert {field.name for field in event.fields} == {subject, key}


def test_an_event_of_a_topic_that_there_is_goes_into_its_module_and_one_of_another_declares_its_topic() -> None:
    waved = files_of(_ROOT, new_event("transaction.waved", fields=["on:date", "at:datetime"]))
    sent = files_of(_ROOT, new_event("specimen.found"))

    assert waved.keys() == {
        "moneyflow/events/transaction.py", "tests/integration/test_transaction_waved_event.py",
    }  # fmt: skip
    assert waved["moneyflow/events/transaction.py"].startswith(
        (_ROOT / "moneyflow/events/transaction.py").read_text(encoding="utf-8").partition("import datetime")[0]
    )
    assert "\nfrom datetime import date, datetime\n" in waved["moneyflow/events/transaction.py"]
    assert sent[TOPICS] == (_ROOT / TOPICS).read_text(encoding="utf-8") + 'SPECIMEN_EVENTS = topic("specimen.events")\n'


@pytest.mark.parametrize(
    ("type", "options", "reason"),
    [
        ("specimen", {}, "NAME: 'specimen' is not of the form invoice.sent"),
        ("Specimen.sent", {}, "is not of the form"),
        ("specimen.found.again", {}, "is not of the form"),
        ("../x.y", {}, "is not of the form"),
        ("topics.added", {}, "is not of the form"),
        (f"specimen.{'x' * 40}", {}, "at most 40 characters"),
        ("system.started", {}, "events of the platform itself are in moneyflow/platform/events/system.py"),
        ("specimen.found", {"fields": ["amount:decimal"]}, "did you mean Decimal"),
        ("specimen.found", {"fields": ["sequence:int"]}, "'sequence' has another meaning"),
        ("specimen.found", {"fields": ["topic:str"]}, "'topic' has another meaning"),
        ("specimen.found", {"fields": ["user_id:UUID"]}, "user_id is the subject or the key"),
        ("transaction.waved", {"with_user": False}, "--no-user: transaction.events is in order per user"),
        ("specimen.found", {"does": 'say "paid"'}, "--does: give one line"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_by_name(type: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        new_event(type, **options)


def test_an_event_that_there_is_is_not_written_again() -> None:
    with pytest.raises(ConflictError, match=r"there is an event user\.created already, in moneyflow\.events\.user"):
        new_event("user.created")
