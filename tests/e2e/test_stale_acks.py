"""An ack belongs to the connection its message came by: after a reconnect the same tag is another job's message."""

import time
from pathlib import Path

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect, begun
from tests.support.processes import BY_MESSAGES, Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually

#: Long enough for an ack that waited for others to have been sent, be it the wrong one.
_ACKS_SENT_SECONDS = 0.5


def _messages_left_by_a_stale_ack(
    sabotage: str, settings: AllSettings, database: Database, processes: Processes, servers: RealServers, *, hold: Path
) -> tuple[set[str], str]:
    """Cut the connection under a running job, let it end, and kill the worker while the next one runs.

    Returns the jobs whose messages RabbitMQ still has, and the job that ran when the worker was killed.
    """
    relay = processes.relay(wait_ready=False)
    worker = processes.worker(sabotage=sabotage, WORKER_THREADS="1", **BY_MESSAGES)
    other = hold.with_name("other")
    other.touch()
    (ends,) = jobs.enqueue(database, LeaveEffect(held_by=str(hold)))
    eventually(lambda: begun(hold), what="the first job runs, by tag 1")
    (lasts,) = jobs.enqueue(database, LeaveEffect(held_by=str(other), rank=10))
    jobs.until_all(database, [lasts], "queued")
    relay.kill()

    before = eventually(
        lambda: set(rabbitmq_admin.connection_names(servers, settings.rabbitmq_vhost)), what="the worker's connection"
    )
    rabbitmq_admin.close_connections(servers, settings.rabbitmq_vhost)
    eventually(
        lambda: set(rabbitmq_admin.connection_names(servers, settings.rabbitmq_vhost)) - before, what="a new connection"
    )
    eventually(lambda: rabbitmq_admin.ready(settings, "jobs") == 0, what="both came again, the high one by tag 1")
    hold.unlink()
    eventually(lambda: begun(other), what="the first has ended, the second runs")
    time.sleep(_ACKS_SENT_SECONDS)
    worker.kill()

    messages: set[str] = set()

    def first_is_back() -> bool:
        found = rabbitmq_admin.take_messages(servers, settings.rabbitmq_vhost, "jobs")
        messages.update(message["properties"]["message_id"] for message in found)
        return str(ends) in messages

    eventually(first_is_back, what="RabbitMQ shows what the worker had not settled")
    return messages, str(lasts)


def test_a_job_that_outlived_its_connection_acks_no_other_jobs_message(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers, hold: Path
) -> None:
    left, running = _messages_left_by_a_stale_ack("reads_ahead", platform, database, processes, servers, hold=hold)

    assert running in left


def test_without_the_fence_of_acks_another_jobs_message_is_lost(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers, hold: Path
) -> None:
    left, running = _messages_left_by_a_stale_ack(
        "without_fenced_acks", platform, database, processes, servers, hold=hold
    )

    assert running not in left
