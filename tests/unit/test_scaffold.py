"""`moneyflow new job`: the options of its payload, schedule and limit, and those that are refused."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from moneyflow.platform.errors import InvalidInputError
from ops.dev.scaffold.job import files_of, new_job

_LONGEST = "a_job_with_a_name_of_forty_characters_xx"
_FIELDS = ["amount:Decimal", "on:date", "at:datetime?", "note:str?", "times:int", "is_paid:bool", "bill_id:UUID"]
_VARIANTS: list[dict[str, Any]] = [
    {},
    {"mail": True},
    {"with_user": False},
    {"with_user": False, "fields": ["bill_id:UUID"]},
    {"with_user": False, "fields": ["at:datetime?"], "limit": "3"},
    {"fields": _FIELDS, "limit": "100/m"},
    {"fields": _FIELDS, "mail": True, "limit": "1000/h"},
    {"cron": "0 3 * * MON-FRI"},
    {"cron": "*/5 * * * *", "fields": ["until:datetime?"], "limit": "1"},
]


@pytest.mark.parametrize("name", ["pay", _LONGEST])
@pytest.mark.parametrize("options", _VARIANTS, ids=str)
def test_what_is_written_is_formatted_and_passes_the_linter(options: dict[str, Any], name: str, tmp_path: Path) -> None:
    files = files_of(new_job(name, does="x" * 60, **options))
    sources = {path: text for path, text in files.items() if path.endswith(".py")}
    (tmp_path / "pyproject.toml").write_text((Path(__file__).parents[2] / "pyproject.toml").read_text())
    for path, text in sources.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    ruff = [str(Path(sys.executable).parent / "ruff")]
    ours = 'lint.isort.known-first-party=["moneyflow", "workers", "tests"]'
    arguments = [["format", "--check", "--diff"], ["check", "--ignore", "INP001", "--config", ours]]
    for words in arguments:
        done = subprocess.run(
            [*ruff, *words, "--no-cache", "."], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert all(ast.parse(text) for text in sources.values())


def test_a_job_without_a_user_has_the_fields_that_are_given_and_no_other() -> None:
    contract = files_of(new_job("pay", with_user=False, fields=["amount:Decimal", "note:str?"]))[
        "moneyflow/jobs/pay.py"
    ]

    assert "user_id" not in contract
    assert "    amount: Decimal\n    note: str | None = None\n" in contract


def test_a_schedule_and_a_limit_are_declared_next_to_the_contract() -> None:
    contract = files_of(new_job("close_month", cron="0 6 1 * *", limit="2"))["moneyflow/jobs/close_month.py"]

    assert 'cron="0 6 1 * *",\n        job=CloseMonth(),' in contract
    assert 'LIMIT = Limit(name="close_month", concurrency=2)' in contract
    assert "    limit=LIMIT,\n" in contract


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fields": ["amount"]}, "--field amount: give NAME:TYPE"),
        ({"fields": ["Amount:int"]}, "--field Amount:int: give NAME:TYPE"),
        ({"fields": ["amount:decimal"]}, "there is no type 'decimal'; did you mean Decimal"),
        ({"fields": ["class:int"]}, "'class' has another meaning"),
        ({"fields": ["priority:int"]}, "'priority' has another meaning"),
        ({"fields": ["date:date"]}, "'date' has another meaning"),
        ({"fields": ["amount:int", "amount:str"]}, "amount is given twice"),
        ({"fields": ["user_id:UUID"]}, "user_id is given twice, or is the user's"),
        ({"cron": "often"}, "--cron often: .*; give five fields"),
        ({"cron": "0 3 * * *", "fields": ["amount:int"]}, "--cron: a tick gives no amount"),
        ({"cron": "0 3 * * *", "mail": True}, "--mail: a mail goes to a user"),
        ({"with_user": False, "mail": True}, "--mail: a mail goes to a user"),
        ({"limit": "many"}, "--limit many: give how many run at once"),
        ({"limit": "0"}, "--limit 0"),
        ({"limit": "5/y"}, "--limit 5/y"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_by_name(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        new_job("pay", **options)
