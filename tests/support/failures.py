"""Jobs that have failed, as rows and as dead letters, without having been run."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pika
import psycopg
import structlog
from psycopg.rows import dict_row
from typer.testing import CliRunner

import tests.support.effects  # noqa: F401 - its jobs are known to commands that run in the tests' process
from moneyflow.platform.brokers import rabbitmq
from moneyflow.platform.brokers.job_message import Outgoing, dead_letter_message
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from ops.cli import app
from tests.support.relay_queries import QUERIES

_ROOT = Path(__file__).parent.parent.parent
_FAILED = """
with new as (
    insert into jobs (id, kind, version, priority, payload, state, due_at, attempt, max_attempts, time_limit_seconds,
                      fence, error_class, error_message, error_group, correlation_id, enqueued_at, finished_at)
    select gen_random_uuid(), %(kind)s, %(version)s, %(priority)s, %(payload)s::jsonb, 'failed', clock_timestamp(), 3,
        3, 60, 4, %(error_class)s, replace(%(message)s, '#', number::text), replace(%(message)s, '#', '<n>'),
        'request-' || number, clock_timestamp() - interval '1 hour',
        clock_timestamp() - make_interval(secs => %(ago_seconds)s + %(count)s - number)
    from generate_series(1, %(count)s) as number returning *
), tried as (
    insert into job_attempts (job_id, fence, attempt, worker, started_at, ended_at, outcome, error_class, error_message,
                              error_traceback)
    select id, fence, 3, 'worker-1', finished_at - interval '1 second', finished_at, 'failed', error_class,
        error_message, 'Traceback (most recent call last): …' from new
), dead_letters as (
    insert into job_dead_letters (job_id, fence) select id, fence from new where %(dead_letters)s order by finished_at
)
select id from new order by finished_at
"""


def fail_jobs(
    database: Database,
    count: int,
    *,
    kind: str = "leave_effect",
    version: int = 1,
    priority: int = 5,
    payload: Mapping[str, Any] | None = None,
    error_class: str = "UnavailableError",
    message: str = "server # is down",
    ago_seconds: float = 60,
    dead_letters: bool = False,
) -> list[UUID]:
    """Insert failed jobs, a second apart, and return their ids, the oldest failure first.

    A `#` in the message is each job's own number. `dead_letters` leaves their dead letters for the relay.
    """
    parameters = {
        "count": count, "kind": kind, "version": version, "priority": priority, "error_class": error_class,
        "payload": orjson.dumps(payload or {}).decode(), "message": message, "ago_seconds": ago_seconds,
        "dead_letters": dead_letters,
    }  # fmt: skip
    with database.transaction() as session:
        return [row["id"] for row in session.fetch_all(_FAILED, parameters)]


def deliver_dead_letters(settings: AllSettings) -> int:
    """Put the dead letters that wait on `jobs_failed`, as the relay does; return how many."""
    conninfo = settings.conninfo("relay", application_name="test")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        rows = connection.execute(QUERIES["dead_letters"], {"limit": 100_000}).fetchall()
        _publish(settings, [dead_letter_message(row) for row in rows])
        connection.execute(QUERIES["delete_dead_letters"], {"ids": [row["dead_letter_id"] for row in rows]})
    return len(rows)


def _publish(settings: AllSettings, messages: Sequence[Outgoing]) -> None:
    connection = pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="relay", name="test"))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        for message in messages:
            channel.basic_publish(
                message.exchange, message.routing_key, message.body, message.properties, mandatory=True
            )
    finally:
        connection.close()


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    text: str
    notes: str

    @property
    def json(self) -> Any:
        """Return what was printed as JSON."""
        return orjson.loads(self.text)


def moneyflow(environment: Mapping[str, str], *arguments: object) -> Answer:
    """Run a command in this process, which knows the jobs of the tests."""
    words, logging = [str(argument) for argument in arguments], structlog.get_config()
    try:
        result = CliRunner().invoke(app, words, env={"COLUMNS": "200", **environment}, catch_exceptions=False)
    finally:
        structlog.configure(**logging)
    return Answer(result.exit_code, result.stdout, result.stderr)


def moneyflow_process(
    environment: Mapping[str, str], *arguments: object, sabotage: str = "nothing"
) -> "subprocess.Popen[str]":
    """Start a command as a process of its own that knows the jobs of the tests."""
    words = [str(argument) for argument in arguments]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.sabotage", sabotage, "ops.cli", *words],
        env=os.environ | dict(environment) | {"PYTHONPATH": str(_ROOT)}, cwd=_ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
