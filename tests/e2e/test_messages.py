"""What is on `jobs` is what the contract says, and no personal data; a second message of a job does nothing."""

import re
from datetime import UTC, datetime

import orjson

from moneyflow.platform.brokers.job_message import encode
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.telemetry.origin import Origin, working_for
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import BY_MESSAGES, Processes
from tests.support.servers import RealServers

_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_message_on_jobs_has_the_bodies_and_properties_of_the_contract(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay(wait_ready=False)
    with working_for(Origin(correlation_id="request-1", traceparent=_TRACE)), database.transaction() as session:
        job_id = enqueue(session, LeaveEffect(held_by="/a private matter", rank=7))
    jobs.until_all(database, [job_id], "queued")

    (message,) = rabbitmq_admin.take_messages(servers, platform.rabbitmq_vhost, "jobs")

    enqueued_at = jobs.job(database, job_id)["enqueued_at"]
    properties = message["properties"]
    traceparent = properties["headers"].pop("traceparent")
    assert (message["exchange"], message["routing_key"]) == ("jobs", "jobs")
    assert properties == {
        "message_id": str(job_id),
        "content_type": "application/json",
        "delivery_mode": 2,
        "priority": 7,
        "timestamp": int(enqueued_at.timestamp()),
        "type": "leave_effect",
        "headers": {},
    }
    assert re.fullmatch(r"00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01", traceparent)
    body = orjson.loads(message["payload"])
    assert body == {
        "queue_name": "jobs",
        "actor_name": "leave_effect",
        "args": [str(job_id)],
        "kwargs": {},
        "options": {},
        "message_id": str(job_id),
        "message_timestamp": int(enqueued_at.timestamp() * 1000),
    }
    assert "private" not in str(message)
    assert datetime.fromtimestamp(properties["timestamp"], UTC).year >= 2020


def test_a_delayed_job_is_no_message_until_it_is_due(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    processes.relay(wait_ready=False)
    (first,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [first], "queued")
    with database.transaction() as session:
        late = session.fetch_one("select clock_timestamp() + interval '2 seconds' as moment")
        assert late is not None
        delayed = enqueue(session, LeaveEffect(), at=late["moment"])
    (now,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [now], "queued")

    state_before = jobs.job(database, delayed)["state"]
    jobs.until_all(database, [delayed], "queued")

    published = jobs.job(database, delayed)["published_at"]
    assert state_before == "scheduled"
    assert published >= late["moment"]


def _a_second_message_comes(
    sabotage: str, settings: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> int:
    """Send a finished job's message once more; return how often the job has had its effect."""
    processes.relay(wait_ready=False)
    processes.worker(sabotage=sabotage, WORKER_THREADS="1", **BY_MESSAGES)
    (job_id,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [job_id], "succeeded")

    body = encode(job_id, "leave_effect", timestamp_milliseconds=1).decode()
    assert rabbitmq_admin.publish(servers, settings.rabbitmq_vhost, body, {"priority": 5})
    (last,) = jobs.enqueue(database, LeaveEffect(rank=0))  # One thread, and nothing comes after it.
    jobs.until_all(database, [last], "succeeded")
    return jobs.effects(database, [job_id])[job_id]


def test_a_second_message_of_a_finished_job_does_nothing(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    assert _a_second_message_comes("nothing", platform, database, processes, servers) == 1


def test_without_the_claim_a_second_message_has_a_second_effect(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    assert _a_second_message_comes("without_claim", platform, database, processes, servers) == 2
