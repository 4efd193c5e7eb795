"""Messages that no relay of ours wrote: each ends on `jobs_failed`, and the good jobs after them run."""

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from moneyflow.platform.brokers.job_message import encode
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin, unreadable_headers
from tests.support.effects import LeaveEffect
from tests.support.kafka_records import everything_in
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _changed(**fields: object) -> str:
    job_id = new_id()
    good: dict[str, Any] = orjson.loads(encode(job_id, "leave_effect", timestamp_milliseconds=1))
    return orjson.dumps(good | fields).decode()


_MALFORMED: dict[str, Callable[[], str]] = {
    "options null": lambda: _changed(options=None),
    "a list as actor_name": lambda: _changed(actor_name=["leave_effect"]),
    "throws set by the sender": lambda: _changed(options={"throws": ["builtins.ValueError"]}),
    "another queue's name": lambda: _changed(queue_name="other"),
    "no JSON": lambda: "hello",
    "a job that does not exist": _changed,
}


@pytest.mark.parametrize("name", _MALFORMED)
def test_a_malformed_message_is_rejected_and_the_good_jobs_after_it_run(
    name: str, platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    body = _MALFORMED[name]()
    for _ in range(8):  # More than the worker has threads: it would stop, were any of them to die of it.
        assert rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, body, {"priority": 10})
    processes.relay(wait_ready=False)
    worker = processes.worker()

    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 8, what="all eight are set aside")

    refused = rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs_failed")
    assert {message["payload"] for message in refused} == {body}
    (death,) = refused[0]["properties"]["headers"]["x-death"]
    assert (death["queue"], death["reason"]) == ("jobs", "rejected")
    assert worker.get("/healthz").status_code == 200
    counted = re.findall(r'moneyflow_refused_messages_total\{reason="\w+"\} (\S+)', worker.get("/metrics").text)
    assert counted == ["8.0"], "each is counted, under one reason"
    assert worker.log().count('"event":"message_refused"') == 1, "and the reason is logged once"
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_messages_whose_headers_no_client_could_read_are_rejected_and_the_good_jobs_run(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    fields = list(unreadable_headers.TAKEN.values())
    for field in fields:
        unreadable_headers.publish(platform, "jobs", b"forged", field)
    processes.relay(wait_ready=False)
    worker = processes.worker()

    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == len(fields), what="all of them are rejected")

    assert worker.get("/healthz").status_code == 200
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("fence", [True, 2**63 - 1, -1, "1", [1], {"a": 1}, 1.5])
def test_a_forged_fence_replays_nothing_and_the_good_jobs_run(
    fence: object, platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    (failed,) = jobs.enqueue(database, LeaveEffect())
    jobs.change(database, failed, state="failed")
    body = encode(failed, "leave_effect", timestamp_milliseconds=1).decode()
    forged = {"headers": {"x-fence": fence, "x-attempts": fence, "x-death": fence, "x-error-class": fence}}
    assert rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, body, forged)
    processes.relay(wait_ready=False)
    processes.worker()

    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])
    jobs.until_all(database, ids, "succeeded")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 0, what="the forged message is acked")

    assert jobs.job(database, failed)["state"] == "failed"


def test_many_messages_on_jobs_failed_are_an_alarm_and_none_is_dropped(
    platform: AllSettings, processes: Processes, servers: RealServers
) -> None:
    for _ in range(3):
        assert rabbitmq_admin.publish(servers, platform.rabbitmq_vhost, "hello", {"priority": 10})
    processes.worker()
    processes.relay(sabotage="alarms_soon", wait_ready=False)

    (record,) = eventually(lambda: everything_in(platform, "system.events"), what="a warning is on system.events")

    warning = orjson.loads(record.value)
    assert (warning["type"], warning["data"]["code"]) == ("system.warning", "dead_letters_accumulated")
    assert warning["data"]["details"]["messages"] > 1
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs_failed") == 3, what="all three are there")
