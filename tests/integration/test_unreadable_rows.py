"""Rows that Python cannot represent break no command, no answer and no loop of the relay; and none can be made."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import falcon.testing
import psycopg
import pytest
from psycopg.rows import dict_row
from typer.testing import CliRunner

from api.app import create_app
from moneyflow.jobs.send_email import SendEmail
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import batches, ticks
from moneyflow.platform.jobs.enqueue import enqueue, enqueue_many
from moneyflow.settings import AllSettings
from ops.cli import app
from tests.support import callers, jobs
from tests.support.command_line import moneyflow
from tests.support.relay_queries import QUERIES
from tests.support.services import services

_TIMES = ("infinity", "-infinity", "20000-01-01", "0100-01-01 BC", "9999-12-31 23:59:59.999999+00")
#: Numbers that Python reads with difficulty, and JSON that is nested more deeply than its reader goes.
_JSON = '{"big": ' + "9" * 5_000 + ', "large": 1e400, "deep": ' + "[" * 3_000 + "]" * 3_000 + "}"


def _mail() -> SendEmail:
    return SendEmail(template="welcome", user_id=uuid4())


@contextmanager
def _of_relay(settings: AllSettings) -> Iterator[Database]:
    database = Database(settings.conninfo("relay", application_name="test"), size=1)
    database.open()
    yield database
    database.close()


@pytest.fixture
def rows(settings: AllSettings, database: Database) -> tuple[UUID, UUID]:
    """Return a failed job and a batch; there are jobs of every state, a schedule and an operation too."""
    states = ("scheduled", "retrying", "queued", "running", "failed", "discarded", "succeeded", "cancelled")
    made = dict(zip(states, jobs.enqueue(database, *[_mail() for _ in states]), strict=True))
    for state, job_id in made.items():
        jobs.change(database, job_id, state=state)
    with database.transaction() as session:
        batch = batches.submit(session, [_mail()], name="x", on_end=_mail())
    with _of_relay(settings) as relay, relay.transaction() as session:
        ticks.declare_all(session)
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as owner:
        owner.execute(
            "insert into job_attempts (job_id, fence, attempt, worker, started_at, outcome, error_class) "
            "values (%s, 0, 1, 'w', now(), 'failed', 'X')",
            [made["failed"]],
        )
        owner.execute(
            "insert into operations (id, verb, sources, asked_by, reason, filter) "
            "values (%s, 'replay', '{jobs}', 'me', 'x', '{}')",
            [new_id()],
        )
    return made["failed"], batch


def _spoil(settings: AllSettings, *, moment: str | None = None, json: str | None = None) -> int:
    """Set every time, or every JSON value, of every row that there is; return the number of columns."""
    kind, value = ("timestamp with time zone", moment) if moment else ("jsonb", json)
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as owner:
        columns = owner.execute(
            "select table_name, column_name from information_schema.columns join information_schema.tables "
            "using (table_schema, table_name) "
            "where table_schema = 'public' and table_type = 'BASE TABLE' and data_type = %s "
            "and column_name <> 'counts'",
            [kind],
        ).fetchall()
        for table, column in columns:
            owner.execute(f'update "{table}" set "{column}" = %s', [value])
    return len(columns)


def _read_all(
    settings: AllSettings, environment: dict[str, str], database: Database, failed: UUID, batch: UUID
) -> None:
    for words in (
        ("jobs", "find"), ("jobs", "show", str(failed)), ("failed", "groups"), ("failed", "list"),
        ("failed", "show", str(failed)), ("failed", "list", "--state", "discarded"), ("failed", "operations"),
        ("batches", "list"), ("batches", "show", str(batch)), ("schedules", "list"), ("queue", "status"),
    ):  # fmt: skip
        for options in ((), ("--json",)):
            result = CliRunner().invoke(app, [*words, *options], env=environment)
            assert result.exit_code == 0, (words, result.output, result.exception)
    headers = callers.administrator(settings)
    api = falcon.testing.TestClient(create_app(services(settings, database)), headers=headers)
    with database.transaction() as session:
        rows = session.fetch_all("select id from jobs")
    for job_id in (row["id"] for row in rows):
        assert api.simulate_get(f"/v1/jobs/{job_id}").status_code == 200
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as relay:
        for name, parameters in _RELAY.items():
            relay.execute(QUERIES[name], parameters).fetchall()
    with _of_relay(settings) as opened, opened.transaction() as session:
        ticks.due(session)


_RELAY: dict[str, dict[str, Any]] = {
    "due_jobs": {"limit": 100}, "next_due_seconds": {}, "counts": {}, "jobs_in_state": {}, "oldest_due": {},
    "outbox_age": {}, "dead_letters": {"limit": 10}, "queued_before": {"grace_seconds": 5}, "paused": {},
}  # fmt: skip


@pytest.mark.parametrize("moment", _TIMES)
def test_a_time_beyond_pythons_years_is_shown(
    moment: str, settings: AllSettings, environment: dict[str, str], database: Database, rows: tuple[UUID, UUID]
) -> None:
    assert _spoil(settings, moment=moment) > 20

    _read_all(settings, environment, database, *rows)

    shown = jobs.job(database, rows[0])["due_at"]
    assert shown.year == (1 if moment.startswith("-") or moment.endswith("BC") else 9999)


def test_json_beyond_pythons_numbers_and_depth_is_shown(
    settings: AllSettings, environment: dict[str, str], database: Database, rows: tuple[UUID, UUID]
) -> None:
    assert _spoil(settings, json=_JSON) > 4

    _read_all(settings, environment, database, *rows)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("delay", {"delay": timedelta(days=3_000_000)}),
        ("delay", {"delay": timedelta.max}),
        ("at", {"at": datetime.max.replace(tzinfo=UTC)}),
        ("at", {"at": datetime.min.replace(tzinfo=UTC)}),
        ("priority", {"priority": 11}),
        ("priority", {"priority": True}),
    ],
    ids=str,
)
def test_what_python_could_not_read_again_is_not_enqueued(
    name: str, options: dict[str, Any], database: Database
) -> None:
    with database.transaction() as session:
        with pytest.raises(InvalidInputError, match=f"^{name}: "):
            enqueue_many(session, [_mail()], **options)

        assert session.fetch_all("select id from jobs") == []


def test_a_delay_below_zero_is_due_at_once(database: Database) -> None:
    with database.transaction() as session:
        job_id = enqueue(session, _mail(), delay=timedelta.min)

    job = jobs.job(database, job_id)
    assert job["due_at"] <= job["enqueued_at"] + timedelta(seconds=1)
    assert job["due_at"] >= job["enqueued_at"] - timedelta(seconds=1)


@pytest.mark.parametrize("key", ["x" * 601, "a\x00b", "a\ud800", 7])
@pytest.mark.parametrize("name", ["unique_key", "limit_key"])
def test_a_key_that_postgres_cannot_index_is_refused_by_its_name(name: str, key: object, database: Database) -> None:
    job = _mail()
    object.__setattr__(job, name, lambda: key)

    with database.transaction() as session, pytest.raises(InvalidInputError, match=f"^{name}: "):
        enqueue(session, job)


@pytest.mark.parametrize("options", [("--delay", "3000000d"), ("--at", "9999-12-31T23:59:59Z")], ids=str)
def test_the_command_refuses_it_and_names_the_option(options: tuple[str, str], environment: dict[str, str]) -> None:
    refused = moneyflow(environment, "jobs", "enqueue", "purge", *options)

    assert refused.returncode == 2
    assert options[0].lstrip("-") in refused.stderr
    assert "Traceback" not in refused.stderr
