"""A round of the control: plain Dramatiq in the places of our workers, the same kind of load and the same faults."""

import time
from collections import Counter
from contextlib import suppress

import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from tests.chaos.plain_dramatiq import TABLES
from tests.chaos.report import Round
from tests.chaos.requested import draw_requests
from tests.chaos.rounds import Plan
from tests.chaos.scene import Actor, Scene
from tests.chaos.storm import Storm
from tests.support.deeds import Deed

_WORKERS = 2
#: Seconds without any change after which all that was to be done again has been.
_QUIET_SECONDS = 3.0
_LONGEST_SECONDS = 60.0
_SHORTEST_JOB_SECONDS = 0.005


def play_plain(scene: Scene, plan: Plan) -> Round:
    """Play a round on plain Dramatiq and return its numbers."""
    with psycopg.connect(scene.settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute(TABLES)
    for _ in range(_WORKERS):
        proxies = scene.new_proxies()
        process = scene.processes.plain(
            "-m", "dramatiq", "tests.chaos.plain_dramatiq", "--processes", "1", "--threads", "4",
            POSTGRES_CONNINFO=scene.settings.conninfo("app", application_name="plain dramatiq"),
            RABBITMQ_URL=_url(scene, port=proxies["rabbitmq"].port),
        )  # fmt: skip
        scene.actors.append(Actor("worker", process, proxies))
    deeds = [order.job for request in draw_requests(plan.seed, plan.requests) for order in request.orders]
    plain = [deed for deed in deeds if isinstance(deed, Deed) and not deed.permanent and not deed.key]

    with Storm(scene, seed=plan.seed, seconds=plan.seconds, only=plan.faults) as storm:
        accepted = _send(scene, plain, seconds=plan.seconds)
    scene.heal()
    effects = _wait_for(scene, accepted)

    return Round(
        name=plan.name,
        seed=plan.seed,
        accepted=len(accepted),
        refused=len(plain) - len(accepted),
        faults=storm.faults,
        lost=len(accepted - effects.keys()),
        doubled=sum(count > 1 for count in effects.values()),
        is_control=True,
    )


def _send(scene: Scene, deeds: list[Deed], *, seconds: float) -> set[str]:
    """Send all, evenly over the time; return those whose sending did not fail."""
    broker = RabbitmqBroker(url=_url(scene, port=scene.settings.rabbitmq_port), middleware=[])
    broker.declare_queue("default")
    accepted = set()
    began = time.monotonic()
    try:
        for number, deed in enumerate(deeds):
            time.sleep(max(0.0, began + seconds * number / len(deeds) - time.monotonic()))
            arguments = (deed.token, max(deed.seconds, _SHORTEST_JOB_SECONDS), deed.failures)
            with suppress(dramatiq.ConnectionClosed):
                broker.enqueue(dramatiq.Message("default", "do", arguments, {}, {}))
                accepted.add(deed.token)
    finally:
        broker.close()
    return accepted


def _wait_for(scene: Scene, accepted: set[str]) -> Counter[str]:
    """Return the effects once all are there, or nothing has come for a while."""
    effects: Counter[str] = Counter()
    ends = quiet = time.monotonic()
    ends += _LONGEST_SECONDS
    while time.monotonic() < min(ends, quiet + _QUIET_SECONDS):
        time.sleep(0.2)
        with scene.superuser() as connection:
            rows = connection.execute("select token from plain_effects").fetchall()
        if len(rows) > effects.total():
            quiet = time.monotonic()
        effects = Counter(row["token"] for row in rows)
    return effects


def _url(scene: Scene, *, port: int) -> str:
    """Return the address for the one user that may declare the queues of plain Dramatiq."""
    user, password = scene.servers.rabbitmq.administrator()
    return f"amqp://{user}:{password}@127.0.0.1:{port}/{scene.settings.rabbitmq_vhost}"
