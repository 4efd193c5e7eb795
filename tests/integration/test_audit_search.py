"""Search and export of the audit log: what was asked for and nothing else, and hashes that others can verify."""

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from moneyflow.audit.append import append
from moneyflow.platform.database import Database
from moneyflow.platform.telemetry.origin import Origin
from moneyflow.settings import AllSettings
from tests.support.audit_log import audit_log, entry
from tests.support.command_line import moneyflow, moneyflow_json

_RUNBOOK = Path(__file__).parents[2] / "ops" / "runbooks" / "audit.md"
_ADA, _BEN = UUID(int=1), UUID(int=2)
_NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def log(settings: AllSettings) -> Iterator[Database]:
    """Return a log of ten events, one a minute from noon on, by Ada and Ben in turn; two chains, two requests."""
    with audit_log(settings) as database, database.transaction() as session:
        for number in range(10):
            person = _BEN if number % 2 else _ADA
            origin = Origin(actor_id=str(person), correlation_id=f"request-{number // 5}")
            one = entry(number, user_id=person, time=_NOON + timedelta(minutes=number), origin=origin)
            append(session, topic="user.events", partition=number % 2, entries=[one])
        session.commit()
        yield database


def _minutes(found: dict[str, Any]) -> list[int]:
    return [datetime.fromisoformat(event["time"]).minute for event in found["events"]]


@pytest.mark.parametrize(
    ("options", "minutes"),
    [
        ([], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (["--actor", str(_ADA)], [8, 6, 4, 2, 0]),
        (["--subject", str(_BEN)], [9, 7, 5, 3, 1]),
        (["--type", "user.activated", "--type", "user.created"], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (["--type", "user.created"], []),
        (["--correlation-id", "request-1"], [9, 8, 7, 6, 5]),
        (["--since", "2026-11-28T12:03Z", "--until", "2026-11-28T12:07Z"], [6, 5, 4, 3]),
        (["--actor", str(_ADA), "--correlation-id", "request-0", "--since", "2026-11-28T12:01Z"], [4, 2]),
    ],
)
@pytest.mark.usefixtures("log")
def test_filters_find_the_events_that_meet_all_of_them_the_newest_first(
    environment: dict[str, str], options: list[str], minutes: list[int]
) -> None:
    assert _minutes(moneyflow_json(environment, "audit", "search", *options)) == minutes


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("options", [[], ["--actor", str(_ADA)]])
def test_pages_follow_each_other_and_have_each_event_once(environment: dict[str, str], options: list[str]) -> None:
    whole = moneyflow_json(environment, "audit", "search", *options)
    first = moneyflow_json(environment, "audit", "search", *options, "--limit", "3")
    second = moneyflow_json(environment, "audit", "search", *options, "--limit", "90", "--before", first["before"])

    assert len(first["events"]) == 3
    assert _minutes(first) + _minutes(second) == _minutes(whole)
    assert (whole["before"], second["before"]) == (None, None)


@pytest.mark.usefixtures("log")
def test_an_export_can_be_verified_by_the_runbooks_program_and_a_changed_one_cannot(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file, program = tmp_path / "export.jsonl", tmp_path / "verify.py"
    program.write_text(_RUNBOOK.read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0])

    done = moneyflow(environment, "audit", "export", "--to", str(file))
    rows = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    sound = subprocess.run([sys.executable, program, file], check=False, capture_output=True, text=True)
    file.write_text(file.read_text().replace("/money-flow/test", "/money-flow/jest", 1))
    changed = subprocess.run([sys.executable, program, file], check=False, capture_output=True, text=True)

    assert (done.returncode, file.stat().st_mode & 0o777) == (0, 0o600), done.stderr
    assert [(row["partition"], row["position"]) for row in rows] == [(n // 5, n % 5 + 1) for n in range(10)]
    assert (sound.stdout, sound.returncode) == ("the export fits its hashes\n", 0), sound.stderr
    assert f"AssertionError: {rows[0]['id']}" in changed.stderr


@pytest.mark.usefixtures("log")
def test_an_export_as_csv_has_the_same_rows_and_a_file_that_is_there_is_not_overwritten(
    environment: dict[str, str], tmp_path: Path
) -> None:
    lines = moneyflow(environment, "audit", "export", "--actor", str(_ADA)).stdout
    table = moneyflow(environment, "audit", "export", "--actor", str(_ADA), "--format", "csv").stdout
    (tmp_path / "kept").write_text("kept")
    refused = moneyflow(environment, "audit", "export", "--to", str(tmp_path / "kept"))

    rows = [{name: str(value) for name, value in orjson.loads(line).items()} for line in lines.splitlines()]
    assert len(rows) == 5
    assert list(csv.DictReader(io.StringIO(table))) == rows
    assert (refused.returncode, (tmp_path / "kept").read_text()) == (2, "kept")
