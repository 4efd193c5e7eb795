"""What a process logs about a server that is down names the server's host and port."""

from typing import Any

import httpx
import orjson
import pytest

from moneyflow.accounts import users
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

#: Nothing listens there.
_DOWN = "1"
_PERSON = {"email": "ada@down.example", "name": "Ada", "password": "correct horse battery"}


def _lines(process: Process) -> list[dict[str, Any]]:
    lines = process.log().splitlines() if process.log_path.exists() else []
    return [orjson.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def _started(processes: Processes, kind: str, settings: dict[str, Any]) -> Process:
    if kind == "consumer":
        return processes.consumer("audit", wait_ready=False, **settings)
    process: Process = getattr(processes, kind)(wait_ready=False, **settings)
    return process


@pytest.mark.parametrize(
    ("kind", "server", "event"),
    [
        ("worker", "POSTGRES", "heartbeat_failed"),
        ("worker", "REDIS", "ready_list_lost"),
        ("relay", "POSTGRES", "postgres_unavailable"),
        ("relay", "RABBITMQ", "broker_unavailable"),
        ("relay", "KAFKA", "broker_unavailable"),
        ("relay", "REDIS", "wake_channel_lost"),
        ("consumer", "POSTGRES", "consumer_paused"),
        ("consumer", "KAFKA", "kafka_join_failed"),
    ],
)
def test_a_process_names_the_server_that_is_down(
    kind: str, server: str, event: str, platform: AllSettings, database: Database, processes: Processes
) -> None:
    with database.transaction() as session:
        users.sign_up(session, email=_PERSON["email"], name="Ada", password_hash="")

    process = _started(processes, kind, {f"{server}_PORT": _DOWN})

    def named() -> dict[str, Any] | None:
        where = f"127.0.0.1:{_DOWN}"
        return next((line for line in _lines(process) if line["event"] == event and where in str(line)), None)

    assert platform
    assert eventually(named, what=f"{event} names the server")


@pytest.mark.parametrize(("server", "event"), [("POSTGRES", "request_rejected"), ("REDIS", "notification_failed")])
def test_the_api_logs_the_server_that_is_down_and_does_not_answer_it(
    server: str, event: str, platform: AllSettings, processes: Processes
) -> None:
    settings: dict[str, Any] = {f"{server}_PORT": _DOWN}
    api = processes.api(wait_ready=server != "POSTGRES", **settings)
    eventually(lambda: api.says("/healthz", "ok"), what="it answers")

    answer = httpx.post(f"http://127.0.0.1:{api.port}/v1/users", json=_PERSON, timeout=30, trust_env=False)

    assert platform
    (line,) = [line for line in _lines(api) if line["event"] == event][:1]
    assert f"127.0.0.1:{_DOWN}" in str(line)
    assert "127.0.0.1" not in answer.text


def test_a_worker_that_is_not_ready_names_the_server(platform: AllSettings, processes: Processes) -> None:
    assert platform
    worker = processes.worker(wait_ready=False, RABBITMQ_PORT=_DOWN)

    eventually(lambda: worker.says("/readyz", f"no connection with RabbitMQ at 127.0.0.1:{_DOWN}"), what="it says so")
