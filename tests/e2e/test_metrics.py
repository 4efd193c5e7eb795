"""Metrics of real processes: what an operator needs to see is exported, and goes with its cause."""

import re
from functools import partial

import orjson

from moneyflow.platform.brokers.job_message import encode
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store import control
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.kafka_records import everything_in
from tests.support.kinds import LimitedReach, Reach
from tests.support.people import sign_up
from tests.support.processes import Process, Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _value(process: Process, name: str, **labels: str) -> float | None:
    """Return the value of a series, or None when the process does not export it."""
    for line in process.get("/metrics").text.splitlines():
        found = re.fullmatch(rf"moneyflow_{name}(?:\{{(.*)\}})? (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1] or "")) == labels:
            return float(found[2])
    return None


def test_a_paused_kind_is_a_metric_by_who_paused_it_and_its_waiting_jobs_count_as_due(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    with database.transaction() as session:
        control.pause(session, "reach", by="ada", reason="the provider moves")
        control.pause(session, "limited_reach", by="grace", reason="the provider moves")
    ids = jobs.enqueue(database, Reach(is_urgent=True), LimitedReach())
    relay = processes.relay(sabotage="looks_often")

    eventually(lambda: _value(relay, "kind_paused", job="reach", by="ada") == 1, what="the pause is exported")
    eventually(lambda: _value(relay, "job_oldest_due_seconds", job="reach", priority="9"), what="the job is due")
    eventually(lambda: _value(relay, "job_oldest_due_seconds", job="limited_reach", priority="5"), what="so is this")
    assert _value(relay, "kind_paused", job="limited_reach", by="grace") == 1
    assert (_value(relay, "kind_paused_seconds", job="reach") or 0) > 0
    assert _value(relay, "jobs_in_state", job="reach", state="scheduled") == 1

    with database.transaction() as session:
        control.resume(session, "reach")
        control.resume(session, "limited_reach")
    processes.worker()
    jobs.until_all(database, ids, "succeeded")

    eventually(lambda: _value(relay, "kind_paused", job="reach", by="ada") is None, what="the pause has ended")
    eventually(lambda: _value(relay, "job_oldest_due_seconds", job="reach", priority="9") == 0, what="nothing is due")
    assert _value(relay, "kind_paused_seconds", job="reach") is None
    assert _value(relay, "jobs_in_state", job="reach", state="scheduled") == 0


def test_jobs_of_a_paused_kind_that_wait_for_long_are_reported_with_the_command_that_ends_the_pause(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    with database.transaction() as session:
        control.pause(session, "reach", by="ada", reason="the provider moves")
    jobs.enqueue(database, Reach(is_urgent=True))
    processes.relay(sabotage="starves_soon", wait_ready=False)

    (record,) = eventually(lambda: everything_in(platform, "system.events"), what="a warning is on system.events")

    warning = orjson.loads(record.value)["data"]
    assert (warning["code"], warning["details"]["job"]) == ("jobs_starved", "reach")
    assert "`moneyflow queue resume reach` ends the pause" in warning["message"]


def test_the_places_of_a_limit_and_failed_jobs_are_counted_by_the_leader(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    (failed,) = jobs.enqueue(database, Reach(fault="permanent"))
    worker = processes.worker()
    relay = processes.relay(sabotage="looks_often")
    jobs.until_all(database, [failed], "failed")
    worker.stop()

    jobs.enqueue(database, LimitedReach())

    eventually(lambda: _value(relay, "limit_places", limit="test_reaches", state="used") == 1, what="one is used")
    assert _value(relay, "limit_places", limit="test_reaches", state="free") == 1
    eventually(lambda: _value(relay, "jobs_in_state", job="reach", state="failed") == 1, what="one has failed")
    eventually(lambda: _value(relay, "jobs_failed_messages") == 1, what="its dead letter is on jobs_failed")


def test_refused_messages_are_counted_by_the_worker_with_their_reason(
    platform: AllSettings, processes: Processes, servers: RealServers
) -> None:
    worker = processes.worker()
    unknown = encode(new_id(), "reach", timestamp_milliseconds=1).decode()

    for body in ("hello", "{}", unknown):
        assert rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, body, {"priority": 1})

    for reason in ("not_json", "other_fields", "unknown_job"):
        eventually(partial(_value, worker, "refused_messages_total", reason=reason), what=f"one is {reason}")


def test_how_long_a_mail_and_an_event_take_is_measured_by_the_process_that_delivers_them(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    worker, consumer = processes.worker(), processes.consumer("audit")

    sign_up(database, name="Zoë")

    eventually(
        lambda: _value(worker, "email_delivery_seconds_count", template="activation") == 1, what="a mail is sent"
    )
    eventually(lambda: _value(consumer, "event_delivery_seconds_count", sink="audit"), what="its event is written")
    assert 0 < (_value(worker, "email_delivery_seconds_sum", template="activation") or 0) < 3600
    assert 0 < (_value(consumer, "event_delivery_seconds_sum", sink="audit") or 0) < 3600
    eventually(lambda: _value(consumer, "consumer_lag_seconds", sink="audit") == 0, what="the sink has everything")
