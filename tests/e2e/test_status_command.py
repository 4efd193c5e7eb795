"""`moneyflow status` and `moneyflow workers list` next to real processes: green, then each trouble with its repair."""

import signal
from pathlib import Path
from typing import Any

import orjson

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store import control
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.command_line import moneyflow, moneyflow_json
from tests.support.kinds import Patient, Reach
from tests.support.people import sign_up
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _status(environment: dict[str, str]) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(moneyflow(environment, "status", "--json").stdout)
    return document


def _conditions(environment: dict[str, str]) -> dict[str, str]:
    return {one["id"]: one["subject"] for one in _status(environment)["conditions"]}


def test_a_whole_stack_is_healthy_and_each_trouble_is_shown_until_its_command_has_repaired_it(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes, servers: RealServers
) -> None:
    for _ in range(2):
        processes.relay(sabotage="keeps_its_schedules", wait_ready=False)
    processes.worker(wait_ready=False)
    processes.api(wait_ready=False)
    processes.consumer("audit")
    sign_up(database, name="Zoë")
    eventually(lambda: moneyflow(environment, "status").returncode == 0, what="everything is healthy")

    document = _status(environment)
    assert document["is_healthy"] is True
    assert [relay["is_leader"] for relay in document["jobs"]["relays"]] == [True, False]
    assert len(document["jobs"]["apis"]) >= 1
    assert [(one["sink"], one["members"]) for one in document["consumers"]] == [("audit", 1)]
    assert document["jobs"]["schedules"]

    with database.transaction() as session:
        control.pause(session, "reach", by="ada", reason="the provider moves")
    shown = moneyflow(environment, "status")
    assert shown.returncode == 1
    assert "reach has been paused by ada for" in shown.stdout
    assert "  moneyflow queue resume reach\n  ops/runbooks/jobs.md#a-kind-is-paused" in shown.stdout
    assert moneyflow(environment, "queue", "resume", "reach").returncode == 0
    assert _conditions(environment) == {}

    (failed,) = jobs.enqueue(database, Reach(fault="permanent"))
    assert rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, "hello", {"priority": 1})
    jobs.until_all(database, [failed], "failed")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 2, what="both are on jobs_failed")
    assert _conditions(environment) == {"jobs_failed": "jobs", "messages_refused": "jobs_failed"}
    assert _status(environment)["refused"] == 1


def test_processes_that_die_are_missed(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes
) -> None:
    api, relay, worker = processes.api(), processes.relay(), processes.worker()
    consumer = processes.consumer("audit")
    eventually(lambda: _conditions(environment) == {}, what="everything is healthy")

    for process in (api, relay, worker, consumer):
        process.kill_all()

    expected = {"no_api": "api", "no_leader": "relay", "no_worker": "worker", "no_consumer": "audit"}
    eventually(lambda: _conditions(environment) == expected, what="each is missed")


def test_the_list_of_workers_shows_what_each_thread_runs_since_when_and_at_which_attempt(
    platform: AllSettings, environment: dict[str, str], database: Database, processes: Processes, hold: Path
) -> None:
    processes.relay(wait_ready=False)
    worker = processes.worker(WORKER_THREADS="3")
    ids = jobs.enqueue(database, Patient(held_by=str(hold)), Patient(held_by=str(hold)))

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = moneyflow_json(environment, "workers", "list")["workers"]
        return found

    eventually(lambda: [len(one["running"]) for one in listed()] == [2], what="both run")

    (one,) = listed()
    assert (one["is_alive"], one["threads"]) == (True, 3)
    assert {job["id"] for job in one["running"]} == {str(job_id) for job_id in ids}
    assert {(job["kind"], job["attempt"]) for job in one["running"]} == {("patient", 1)}
    assert all(job["seconds"] > 0 for job in one["running"])
    text = moneyflow(environment, "workers", "list").stdout
    assert f"  {ids[0]}  patient\n    attempt 1, since " in text
    assert "2 of 3 threads busy" in text

    hold.unlink()
    eventually(lambda: listed()[0]["running"] == [], what="they have ended")
    worker.stop()
    assert listed() == []


def test_a_frozen_worker_is_shown_as_dead_or_frozen_while_it_holds_its_lock(
    platform: AllSettings, environment: dict[str, str], processes: Processes
) -> None:
    worker = processes.worker(WORKER_LEASE_SECONDS="5")
    eventually(lambda: "no_worker" not in _conditions(environment), what="it has registered")
    worker.signal(signal.SIGSTOP)

    eventually(lambda: _conditions(environment).get("worker_silent"), what="its heartbeat is missed")

    assert "DEAD or frozen" in moneyflow(environment, "workers", "list").stdout
