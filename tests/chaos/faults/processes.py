"""What happens to processes: killed, frozen, asked to stop."""

import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import httpx

from tests.chaos.faults.deck import fault
from tests.chaos.scene import Actor, Kind, Scene
from tests.support import rabbitmq_admin


@fault("processes", most=5)
def kill_a_worker(scene: Scene, dice: random.Random) -> None:
    scene.replace(dice.choice(scene.of("worker")))


@fault("processes", most=1)
def kill_all_workers(scene: Scene, dice: random.Random) -> None:
    for worker in scene.of("worker"):
        scene.replace(worker)


@fault("processes", most=1)
def kill_all_workers_and_lose_their_messages(scene: Scene, dice: random.Random) -> None:
    """Then only their rows show that they had jobs."""
    for worker in scene.of("worker"):
        worker.process.kill_all()
    time.sleep(0.3)  # RabbitMQ puts back what they had not settled.
    with suppress(httpx.HTTPError):  # RabbitMQ may be down by another fault.
        rabbitmq_admin.purge_queue(scene.servers, scene.settings.rabbitmq_vhost, "jobs")
    for worker in scene.of("worker"):
        worker.process.launch()


@fault("processes", most=1)
def cut_a_worker_off_and_kill_it(scene: Scene, dice: random.Random) -> None:
    """From RabbitMQ, in the middle of its jobs; then while they end, and others have come by the same tags."""
    worker = dice.choice(scene.of("worker"))
    worker.proxies["rabbitmq"].cut()
    time.sleep(dice.uniform(0.8, 1.5))
    scene.replace(worker)


@fault("processes", most=1)
def freeze_a_worker_within_its_lease(scene: Scene, dice: random.Random) -> None:
    _freeze(dice.choice(scene.of("worker")), dice.uniform(0.5, 2))


@fault("processes", most=1)
def freeze_a_worker_beyond_its_lease(scene: Scene, dice: random.Random) -> None:
    """It is three seconds in the tests."""
    _freeze(dice.choice(scene.of("worker")), 5.0)


@fault("processes", most=1)
def stop_a_worker(scene: Scene, dice: random.Random) -> None:
    _stop(dice.choice(scene.of("worker")))


@fault("processes", most=2)
def kill_the_leading_relay(scene: Scene, dice: random.Random) -> None:
    scene.replace(scene.leader() or dice.choice(scene.of("relay")))


@fault("processes", most=1)
def kill_the_relay_that_stands_by(scene: Scene, dice: random.Random) -> None:
    leader = scene.leader()
    scene.replace(next(actor for actor in scene.of("relay") if actor is not leader))


@fault("processes", most=1)
def freeze_the_leading_relay(scene: Scene, dice: random.Random) -> None:
    """For less than the ten seconds after which a standby ends its leadership, or for more."""
    _freeze(scene.leader() or dice.choice(scene.of("relay")), dice.choice((2.0, 13.0)))


@fault("processes", most=1)
def stop_the_leading_relay(scene: Scene, dice: random.Random) -> None:
    _stop(scene.leader() or dice.choice(scene.of("relay")))


@fault("processes", most=2)
def kill_the_api(scene: Scene, dice: random.Random) -> None:
    _one("api", scene, dice, scene.replace)


@fault("processes", most=1)
def freeze_the_api(scene: Scene, dice: random.Random) -> None:
    _one("api", scene, dice, lambda actor: _freeze(actor, 2.0))


@fault("processes", most=1)
def kill_the_consumer(scene: Scene, dice: random.Random) -> None:
    _one("consumer", scene, dice, scene.replace)


@fault("processes", most=1)
def freeze_the_consumer(scene: Scene, dice: random.Random) -> None:
    _one("consumer", scene, dice, lambda actor: _freeze(actor, 3.0))


@fault("processes", most=0)
def freeze_a_consumer_beyond_its_session(scene: Scene, dice: random.Random) -> None:
    """It is three seconds where the group misses consumers soon."""
    _one("consumer", scene, dice, lambda actor: _freeze(actor, 5.0))


@fault("processes", most=0)
def stop_a_consumer(scene: Scene, dice: random.Random) -> None:
    """Its partitions move to another instance, and some of them back."""
    _one("consumer", scene, dice, _stop)


def _one(kind: Kind, scene: Scene, dice: random.Random, act: Callable[[Actor], None]) -> None:
    """Act on one of a kind that the scene may have none of."""
    if scene.of(kind):
        act(dice.choice(scene.of(kind)))


def _freeze(actor: Actor, seconds: float) -> None:
    actor.process.signal_all(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        actor.process.signal_all(signal.SIGCONT)


def _stop(actor: Actor) -> None:
    clean = {0} if actor.process.says("/healthz", "ok") else {0, -signal.SIGTERM}  # While it still starts.
    code = actor.process.stop(seconds=40)
    actor.process.launch()
    assert code in clean, f"a {actor.kind} that was asked to stop ended with {code}"
