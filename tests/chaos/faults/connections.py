"""What happens to connections, through the proxies: cut, cut in mid-message, stalled, or lost without a word."""

import random
import time

from tests.chaos.faults.deck import fault
from tests.chaos.scene import SERVERS, Scene
from tests.support.proxy import Proxy


@fault("connections", most=5)
def cut_connections(scene: Scene, dice: random.Random) -> None:
    _proxy(scene, dice).cut()


@fault("connections", most=5)
def cut_connections_in_mid_message(scene: Scene, dice: random.Random) -> None:
    """Or not at all, when so few bytes pass in that time."""
    proxy = _proxy(scene, dice)
    proxy.cut_after(dice.choice((1, 10, 100, 1000, 5000)))
    time.sleep(dice.uniform(0.5, 1.5))
    proxy.flow()


@fault("connections", most=4)
def stall_connections(scene: Scene, dice: random.Random) -> None:
    """For less than a worker's lease, or for more."""
    proxy = _proxy(scene, dice)
    proxy.stall()
    time.sleep(dice.choice((0.3, 1.0, 2.0, 5.0)))
    proxy.flow()


@fault("connections", most=4)
def lose_some_connections(scene: Scene, dice: random.Random) -> None:
    """As with a firewall that forgets them: what is sent is swallowed, until the connection is reset."""
    _lose_some(_proxy(scene, dice), dice)


@fault("connections", most=2)
def cut_all_connections_with_a_server(scene: Scene, dice: random.Random) -> None:
    name = dice.choice(SERVERS)
    for proxies in [scene.client_proxies, *(actor.proxies for actor in scene.actors)]:
        proxies[name].cut()


@fault("connections", most=0)
def cut_the_workers_connections_with_rabbitmq(scene: Scene, dice: random.Random) -> None:
    for worker in scene.of("worker"):
        worker.proxies["rabbitmq"].cut()


@fault("connections", most=0)
def lose_some_of_the_workers_connections_with_rabbitmq(scene: Scene, dice: random.Random) -> None:
    for worker in scene.of("worker"):
        _lose_some(worker.proxies["rabbitmq"], dice)


def _lose_some(proxy: Proxy, dice: random.Random) -> None:
    proxy.lose(part=0.5, dice=random.Random(dice.random()))
    time.sleep(dice.uniform(0.3, 1.5))
    proxy.cut_lost()


def _proxy(scene: Scene, dice: random.Random) -> Proxy:
    """Choose whose connections with which server; Kafka has one proxy for all."""
    name = dice.choice((*SERVERS, "postgres", "rabbitmq", "kafka"))
    if name == "kafka":
        return scene.servers.kafka_proxy
    return dice.choice([scene.client_proxies, *(actor.proxies for actor in scene.actors)])[name]
