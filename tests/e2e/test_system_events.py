"""System events of real processes: the health of each on its timer, and the bugs of each."""

from typing import Any

import httpx
import orjson
import psycopg
from psycopg.conninfo import make_conninfo

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import callers, jobs, outbox
from tests.support.effects import LeaveEffect
from tests.support.kafka_records import everything_in
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually

_PROCESSES = {"api", "consumer", "relay", "worker"}
#: What an iteration of each process needs, and it does not expect to miss; the relay's is the last, as it publishes.
_TABLES = ("categories", "effects", "audit.chains", "schedules")


def _events(settings: AllSettings, type: str) -> list[dict[str, Any]]:
    """Return the published events of a type, and those that wait."""
    published = [orjson.loads(record.value) for record in everything_in(settings, "system.events")]
    return [event for event in published + outbox.events(settings, "system.events") if event["type"] == type]


def _break(servers: RealServers, settings: AllSettings, table: str) -> None:
    conninfo = make_conninfo(servers.postgres.superuser_conninfo(), dbname=settings.postgres_db)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(f"alter table {table} rename to broken_{table.rpartition('.')[2]}".encode())


def test_each_process_sends_its_health_on_its_timer_and_each_bug_that_it_meets(
    servers: RealServers, platform: AllSettings, database: Database, processes: Processes
) -> None:
    port = processes.api(HEALTH_CHECK_SECONDS="1").port
    processes.worker(HEALTH_CHECK_SECONDS="1")
    processes.consumer("audit", HEALTH_CHECK_SECONDS="1")
    processes.relay(HEALTH_CHECK_SECONDS="1")

    def healthy() -> set[str]:
        checks = [event["data"] for event in _events(platform, "system.health_check")]
        return {check["process"] for check in checks if check["alive"] and check["ready"]}

    def failing() -> set[str]:
        return {event["subject"] for event in _events(platform, "system.error")}

    eventually(lambda: healthy() == _PROCESSES, seconds=30, what="each process has sent its health")
    assert failing() == set()

    for table in _TABLES:
        _break(servers, platform, table)
    jobs.enqueue(database, LeaveEffect())
    url = f"http://127.0.0.1:{port}/v1/categories"
    answer = httpx.get(url, headers=callers.bearer(platform), trust_env=False)

    assert answer.status_code == 500
    eventually(lambda: failing() == _PROCESSES, seconds=30, what=f"each process has sent its bug; {failing()}")
