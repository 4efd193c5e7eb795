"""Processes that crash at a failpoint each, and what must happen so that they get there."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moneyflow.gateways.storage import new_key
from moneyflow.jobs.sweep_files import SweepFiles
from moneyflow.payments import payments as use_case
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.owner import OwnerScope
from tests.chaos.scene import Actor, Kind, Scene
from tests.support import jobs, payments, people, rabbitmq_admin
from tests.support.failpoints import of_every_process
from tests.support.kafka_records import produce
from tests.support.leave_file import LeaveFile
from tests.support.waiting import eventually

#: Points that more than one kind of process reaches; all others are called after the only one.
_SHARED: dict[str, tuple[Kind, ...]] = {
    "session": ("worker", "consumer", "api"),
    "storage": ("worker",),
    "sweep": ("worker",),
}
_OF_A_TICK = {"relay.before_tick", "relay.ticked"}
_REACHED_SECONDS = 60.0
_END_TO_END = Path(__file__).parents[1] / "e2e"


@dataclass(frozen=True)
class Dying:
    """A process that will kill itself at a failpoint; it is none of the scene's own."""

    point: str
    actor: Actor

    def is_alive(self) -> bool:
        return self.actor.process.is_running()

    def is_at_work(self) -> bool:
        """Say whether it has begun, and is no relay that stands by."""
        return self.actor.process.says("/metrics", "moneyflow_relay_leader 1.0" if self.actor.kind == "relay" else "")

    def died_there(self) -> bool:
        """Say whether it died of the point, and of nothing else."""
        process = self.actor.process
        return process.exit_code() == -signal.SIGKILL and f"dies at {self.point}" in process.log()


def cases() -> list[tuple[Kind, str]]:
    """Return every failpoint with every kind of process that reaches it."""
    return [(kind, point) for point in of_every_process() for kind in _kinds(point)]


def cases_without_a_test_of_their_own() -> list[tuple[Kind, str]]:
    """Return those at which no end-to-end test crashes; what a consumer commits, two of them look at."""
    crashed_at = "".join(file.read_text(encoding="utf-8") for file in _END_TO_END.glob("test_*.py"))
    return [(kind, point) for kind, point in cases() if point not in crashed_at and kind != "consumer"]


def start_dying(scene: Scene, kind: Kind, point: str, dice: random.Random) -> Dying:
    """Start a process that dies at the point, the first time or a later one."""
    count = 1 if point in _NUDGES or kind == "api" else dice.choice((1, 1, 2, 3))
    also = "+ticks_each_second" if point in _OF_A_TICK else ""
    actor = scene.start(kind, sabotage=f"{scene.sabotage}{also}+dies_at:{point}:{count}", wait_ready=False)
    scene.actors.remove(actor)
    return Dying(point, actor)


def until_dead(scene: Scene, everybody: list[Dying], ask_api: Callable[[Actor], None]) -> None:
    """Bring about what the points need, until each process has died at its own; some of it takes more who die.

    Once the last relay of them is dead the scene has one that lives, and no sooner: it would keep them from leading.
    """

    def all_are_dead() -> bool:
        alive = [dying for dying in everybody if dying.is_alive()]
        if not scene.of("relay") and not any(dying.actor.kind == "relay" for dying in alive):
            scene.start("relay", wait_ready=False)
        for dying in alive:
            if dying.actor.kind == "api":
                ask_api(dying.actor)
            elif dying.point in _NUDGES and dying.is_at_work():
                _NUDGES[dying.point](scene, everybody)
        return not alive

    try:
        eventually(all_are_dead, seconds=_REACHED_SECONDS)
    except AssertionError as error:
        missed = [dying.point for dying in everybody if dying.is_alive()]
        raise AssertionError(f"not reached within {_REACHED_SECONDS:.0f} seconds: {', '.join(missed)}") from error
    assert [dying.point for dying in everybody if not dying.died_there()] == []


def _kinds(point: str) -> tuple[Kind, ...]:
    name = point.partition(".")[0]
    return _SHARED.get(name) or (name,)  # type: ignore[return-value] # it begins with the process's name


def _replay(scene: Scene, _: list[Dying]) -> None:
    """Move the dead letters back, as an operator does."""
    rabbitmq_admin.move(scene.settings, "jobs_failed", "jobs")


def _let_a_worker_die(scene: Scene, everybody: list[Dying]) -> None:
    """Let one die that has claimed jobs; do not wait: the relay that brings it jobs may be yet to start."""
    point = "worker.before_finish"
    if not any(dying.point == point and dying.is_alive() for dying in everybody):
        everybody.append(start_dying(scene, "worker", point, random.Random(0)))


def _let_workers_be_dead(scene: Scene, _: list[Dying]) -> None:
    """Kill the workers in the middle of their jobs, and start no other for some seconds that would claim them."""
    for worker in scene.of("worker"):
        worker.process.kill()
    time.sleep(2)
    for worker in scene.of("worker"):
        worker.process.start()


def _pay(scene: Scene, _: list[Dying]) -> None:
    """Pay, unless a payment is pending, and have refunded what is paid by now."""
    settings = scene.client_settings()
    database = Database(settings.conninfo("app", application_name="test"), size=1)
    database.open()
    with database.transaction() as session:
        is_pending = session.fetch_one("select from payments where state = 'pending'") is not None
    if not is_pending:
        payments.request(database, people.add(database))
    with database.transaction() as session:
        paid = session.fetch_all("select id, user_id from payments where state = 'succeeded' and refund_key is null")
        for one in paid:
            use_case.request_refund(OwnerScope(session, one["user_id"]), one["id"])
    database.close()


def _leave_file(scene: Scene, _: list[Dying]) -> None:
    """Enqueue a job that returns a file."""
    _enqueue(scene, LeaveFile())


def _sweep(scene: Scene, _: list[Dying]) -> None:
    """Enqueue a sweep, and let it have files to delete."""
    with scene.superuser() as connection:
        connection.execute("insert into file_deletions (key) values (%s)", [new_key("private")])
    _enqueue(scene, SweepFiles())


def _enqueue(scene: Scene, job: Job) -> None:
    database = Database(scene.client_settings().conninfo("app", application_name="test"), size=1)
    database.open()
    jobs.enqueue(database, job)
    database.close()


def _lose_messages(scene: Scene, _: list[Dying]) -> None:
    """Delete what waits for workers that are too slow."""
    for worker in scene.of("worker"):
        worker.process.signal(signal.SIGSTOP)
    time.sleep(1)
    rabbitmq_admin.purge_queue(scene.servers, scene.settings.rabbitmq_vhost, "jobs")
    time.sleep(1.5)
    for worker in scene.of("worker"):
        worker.process.signal(signal.SIGCONT)


def _produce_bad_data(scene: Scene, _: list[Dying]) -> None:
    produce(scene.settings, "user.events", [(b"no-key", b"this is no envelope")])
    time.sleep(1)


_NUDGES: dict[str, Callable[[Scene, list[Dying]], None]] = {
    "worker.claimed_quarantined": _let_a_worker_die,
    "worker.replayed": _replay,
    "worker.before_charge": _pay,
    "worker.charged": _pay,
    "worker.payment_decided": _pay,
    "worker.refunded": _pay,
    "storage.before_rename": _leave_file,
    "storage.renamed": _leave_file,
    "sweep.deleted": _sweep,
    "relay.rescued": _let_workers_be_dead,
    "relay.missing_found": _lose_messages,
    "consumer.dead_lettered": _produce_bad_data,
}
