"""`moneyflow status` where servers or processes are missing: it says so, and never fails itself."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from moneyflow.jobs.sweep_files import SweepFiles
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support.command_line import moneyflow
from tests.support.forks import Fork
from tests.support.processes import free_port
from tests.support.waiting import eventually

_PORTS = {"postgres": "POSTGRES_PORT", "rabbitmq": "RABBITMQ_PORT", "kafka": "KAFKA_PORT", "redis": "REDIS_PORT"}


def _status(environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = moneyflow(environment, "status", "--json")
    assert done.stderr == ""
    return done.returncode, orjson.loads(done.stdout)


def _down(document: dict[str, Any]) -> set[str]:
    return {server["name"] for server in document["servers"] if server["problem"] is not None}


@pytest.fixture
def frozen() -> Iterator[int]:
    """Return a port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_without_processes_every_server_is_ready_and_each_missing_process_is_a_condition(
    environment: dict[str, str], queues: AllSettings, topics: AllSettings, database: Database
) -> None:
    code, document = _status(environment)

    assert code == 1
    assert _down(document) == set()
    assert {one["id"] for one in document["conditions"]} == {"no_leader", "no_worker", "no_api"}
    assert document["queues"] == {"jobs": 0, "jobs_failed": 0}
    assert document["consumers"] == []
    assert document["is_healthy"] is False


def test_what_a_scheduled_job_has_found_is_a_condition(
    environment: dict[str, str], queues: AllSettings, topics: AllSettings, database: Database
) -> None:
    with database.transaction() as session:
        job_id = enqueue(session, SweepFiles())
    with psycopg.connect(queues.conninfo("owner", application_name="test")) as connection:
        connection.execute("update jobs set state = 'succeeded', result = '{\"alarm\": \"2 files are missing\"}'")
        connection.execute(
            "insert into schedules (name, kind, cron, time_zone, overlap, catch_up, next_tick_at, last_job_id) "
            "values ('sweep_files', 'sweep_files', '17 * * * *', 'UTC', 'skip', 'none', now() + interval '1 hour', %s)",
            [job_id],
        )

    _, document = _status(environment)

    (found,) = [one for one in document["conditions"] if one["id"] == "schedule_alarm"]
    assert (found["subject"], found["text"]) == ("sweep_files", "sweep_files has found: 2 files are missing")


@pytest.mark.parametrize("name", _PORTS)
def test_a_server_that_is_down_is_named_and_the_others_are_shown(
    name: str, environment: dict[str, str], queues: AllSettings, topics: AllSettings
) -> None:
    code, document = _status(environment | {_PORTS[name]: str(free_port())})

    assert code == 1
    assert _down(document) == {name}
    (condition,) = [one for one in document["conditions"] if one["id"] == "server_down"]
    assert (condition["subject"], condition["runbook"]) == (name, "servers.md#a-server-is-down")
    assert (document["jobs"] is None) == (name == "postgres")
    assert (document["queues"] is None) == (name == "rabbitmq")
    assert (document["consumers"] is None) == (name == "kafka")


def test_servers_that_accept_connections_and_never_answer_are_down(environment: dict[str, str], frozen: int) -> None:
    code, document = _status(environment | dict.fromkeys(_PORTS.values(), str(frozen)))

    assert code == 1
    assert _down(document) == set(_PORTS)
    assert [one["id"] for one in document["conditions"]] == ["server_down"] * 4


def test_a_queue_that_is_missing_is_reported_with_what_to_do(environment: dict[str, str], vhost: str) -> None:
    _, document = _status(environment)

    (rabbitmq,) = [server for server in document["servers"] if server["name"] == "rabbitmq"]
    assert vhost
    assert "run the migration" in rabbitmq["problem"]


def test_the_screen_says_which_server_is_down_and_the_help_what_exit_codes_mean(
    environment: dict[str, str],
) -> None:
    everything_down = {port: str(free_port()) for port in _PORTS.values()}

    shown = moneyflow(environment | everything_down, "status")
    described = moneyflow(environment, "status", "--help")

    assert shown.returncode == 1
    assert "postgres DOWN · rabbitmq DOWN · kafka DOWN · redis DOWN" in shown.stdout
    assert shown.stderr == ""
    assert "Exits 0 when nothing needs an operator, 1 when something does, 2" in " ".join(described.stdout.split())


def test_watching_looks_again_until_it_is_interrupted_and_then_exits_as_the_last_look_says(
    environment: dict[str, str], tmp_path: Path
) -> None:
    everything_down = {port: str(free_port()) for port in _PORTS.values()}
    output, errors = tmp_path / "output", tmp_path / "errors"
    output.touch()
    process = Fork(
        "ops.cli", "status", "--watch", "--json", environment=os.environ | environment | everything_down,
        folder=Path.cwd(), output=output, errors=errors,
    )  # fmt: skip

    eventually(lambda: output.read_text().count('"is_healthy": false') >= 2, what="it has looked twice")
    process.send_signal(signal.SIGINT)

    assert process.wait(30) == 1
    assert errors.read_text() == ""


def test_invalid_settings_exit_with_2(environment: dict[str, str]) -> None:
    assert moneyflow(environment | {"KAFKA_PORT": "many"}, "status").returncode == 2
