"""A queue that is purged or deleted by others: the relay publishes again what should be in it."""

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.settings import AllSettings
from ops.migrate import declare_queues
from tests.support import jobs, rabbitmq_admin
from tests.support.effects import LeaveEffect
from tests.support.processes import Processes
from tests.support.servers import RealServers
from tests.support.waiting import eventually


@pytest.mark.parametrize("loss", [rabbitmq_admin.purge_queue, rabbitmq_admin.delete_queue])
def test_messages_that_were_lost_while_they_waited_are_sent_again(
    loss: object, platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay(sabotage="looks_often", wait_ready=False)
    ids = jobs.enqueue(database, *[LeaveEffect() for _ in range(10)])
    jobs.until_all(database, ids, "queued")
    eventually(lambda: rabbitmq_admin.ready(platform, "jobs") == 10, what="all messages are in RabbitMQ")

    loss(servers, platform.rabbitmq_vhost, "jobs")  # type: ignore[operator]
    declare_queues(platform)  # As the migration does: no other process has the right to.
    processes.worker()

    jobs.until_all(database, ids, "succeeded")
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


@pytest.mark.timeout(300)
def test_thousands_of_jobs_that_waited_in_a_rabbitmq_that_lost_everything_run_once(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers, pytestconfig: pytest.Config
) -> None:
    processes.relay(wait_ready=False)
    with database.transaction() as session:
        ids = enqueue_many(session, [LeaveEffect() for _ in range(1000 * pytestconfig.getoption("--thousands"))])
    jobs.until_all(database, ids, "queued", seconds=60)

    rabbitmq_admin.delete_vhost(servers, platform.rabbitmq_vhost)
    rabbitmq_admin.create_vhost(servers, platform.rabbitmq_vhost, with_queues=True)
    for _ in range(2):
        processes.worker()

    jobs.until_all(database, ids, "succeeded", seconds=240)
    assert jobs.effects(database, ids) == dict.fromkeys(ids, 1)


def test_a_worker_whose_queue_is_deleted_continues_once_the_migration_has_declared_it_again(
    platform: AllSettings, database: Database, processes: Processes, servers: RealServers
) -> None:
    processes.relay(sabotage="looks_often", wait_ready=False)
    worker = processes.worker()
    before = jobs.enqueue(database, *[LeaveEffect(seconds=0.3) for _ in range(12)])
    jobs.until_all(database, before[:1], "succeeded")

    rabbitmq_admin.delete_queue(servers, platform.rabbitmq_vhost, "jobs")
    declare_queues(platform)
    after = jobs.enqueue(database, *[LeaveEffect() for _ in range(5)])

    jobs.until_all(database, [*before, *after], "succeeded")
    assert jobs.effects(database, [*before, *after]) == dict.fromkeys([*before, *after], 1)
    assert worker.get("/healthz").status_code == 200
    assert worker.get("/readyz").status_code == 200
