"""What happens to servers: killed, restarted, short of memory; and to messages: lost or doubled without our doing."""

import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ops.dev.stack.servers import Server
from tests.chaos.faults.deck import fault
from tests.chaos.scene import Scene
from tests.support import rabbitmq_admin


@fault("servers", most=1)
def crash_rabbitmq(scene: Scene, dice: random.Random) -> None:
    _crash(scene.servers.rabbitmq, dice)


@fault("servers", most=1)
def restart_rabbitmq(scene: Scene, dice: random.Random) -> None:
    _restart(scene.servers.rabbitmq, dice)


@fault("servers", most=1)
def crash_postgres(scene: Scene, dice: random.Random) -> None:
    _crash(scene.servers.postgres, dice)


@fault("servers", most=1)
def restart_postgres(scene: Scene, dice: random.Random) -> None:
    _restart(scene.servers.postgres, dice)


@fault("servers", most=1)
def crash_or_restart_redis(scene: Scene, dice: random.Random) -> None:
    dice.choice((_crash, _restart))(scene.servers.redis, dice)


@fault("servers", most=1)
def crash_or_restart_kafka(scene: Scene, dice: random.Random) -> None:
    dice.choice((_crash, _restart))(scene.servers.kafka, dice)


@fault("servers", most=2)
def purge_the_queue(scene: Scene, dice: random.Random) -> None:
    with _a_full_queue(scene):
        rabbitmq_admin.purge_queue(scene.servers, scene.settings.rabbitmq_vhost, "jobs")


@fault("servers", most=1)
def delete_the_queue(scene: Scene, dice: random.Random) -> None:
    rabbitmq_admin.delete_queue(scene.servers, scene.settings.rabbitmq_vhost, "jobs")
    time.sleep(dice.uniform(0, 1.5))
    rabbitmq_admin.create_vhost(scene.servers, scene.settings.rabbitmq_vhost, with_queues=True)


@fault("servers", most=1)
def double_what_waits_in_the_queue(scene: Scene, dice: random.Random) -> None:
    """As a federation, a shovel or a relay that dies may do."""
    with _a_full_queue(scene):
        rabbitmq_admin.double(scene.settings, "jobs")


@fault("servers", most=1)
def raise_rabbitmqs_memory_alarm(scene: Scene, dice: random.Random) -> None:
    """It takes nothing from publishers until its alarm is cleared."""
    rabbitmq = scene.servers.rabbitmq
    assert rabbitmq.control(["set_vm_memory_high_watermark", "0.000001"]) == 0
    try:
        time.sleep(dice.uniform(1, 4))
    finally:
        assert rabbitmq.control(["set_vm_memory_high_watermark", "absolute", "1GB"]) == 0


@fault("servers", most=1)
def take_the_rights_in_rabbitmq(scene: Scene, dice: random.Random) -> None:
    vhost = scene.settings.rabbitmq_vhost
    rabbitmq_admin.take_rights(scene.servers, vhost)
    try:
        rabbitmq_admin.close_connections(scene.servers, vhost)
        time.sleep(dice.uniform(1, 4))
    finally:
        rabbitmq_admin.create_vhost(scene.servers, vhost)


@fault("servers", most=2)
def end_all_sessions_in_postgres(scene: Scene, dice: random.Random) -> None:
    with scene.superuser() as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


@contextmanager
def _a_full_queue(scene: Scene) -> Iterator[None]:
    """Let the workers rest until messages wait for them."""
    workers = [worker.process for worker in scene.of("worker")]
    for worker in workers:
        worker.signal_all(signal.SIGSTOP)
    try:
        time.sleep(1)
        yield
    finally:
        for worker in workers:
            worker.signal_all(signal.SIGCONT)


def _crash(server: Server, dice: random.Random) -> None:
    server.kill()
    _start_again(server, dice)


def _restart(server: Server, dice: random.Random) -> None:
    server.stop()
    _start_again(server, dice)


def _start_again(server: Server, dice: random.Random) -> None:
    time.sleep(dice.uniform(0, 1.5))
    server.start()
    server.wait_ready()
