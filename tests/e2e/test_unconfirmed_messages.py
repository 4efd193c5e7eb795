"""A message that RabbitMQ takes and drops because no queue is bound: it is not marked, and sent again."""

from uuid import UUID

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.settings import AllSettings
from ops.migrate import declare_queues
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import BY_MESSAGES, Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


def _sent_into_nowhere(
    sabotage: str, settings: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> list[UUID]:
    """Delete the queue under a connected relay, enqueue jobs, and declare it once they came back or were marked."""
    relay = processes.relay(sabotage=sabotage, wait_ready=False)
    (first,) = jobs.enqueue(database, LeaveEffect())
    jobs.until_all(database, [first], "queued")

    rabbitmq_admin.delete_queue(servers, settings.rabbitmq_vhost, "jobs")
    with database.transaction() as session:
        ids = enqueue_many(session, [LeaveEffect() for _ in range(5)])
    eventually(
        lambda: "message_unroutable" in relay.log() or jobs.states(database, ids) == {"queued": len(ids)},
        what="the jobs were published into nowhere",
    )
    declare_queues(settings)
    jobs.until_all(database, ids, "queued")
    return ids


def test_what_no_queue_took_is_sent_again_before_it_is_marked(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    ids = _sent_into_nowhere("nothing", platform, database, processes, servers)
    in_the_queue = rabbitmq_admin.ready(platform, "jobs")
    processes.worker()

    jobs.until_all(database, ids, "succeeded")

    assert in_the_queue >= len(ids)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_without_the_confirm_what_no_queue_took_is_marked_and_never_comes(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    ids = _sent_into_nowhere("without_confirm", platform, database, processes, servers)
    processes.worker(WORKER_THREADS="1", **BY_MESSAGES)

    (last,) = jobs.enqueue(database, LeaveEffect(rank=0))
    jobs.until_all(database, [last], "succeeded")

    assert jobs.states(database, ids) == {"queued": len(ids)}
    assert jobs.effects(database, ids) == {}
