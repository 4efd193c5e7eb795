"""One round: clients ask, faults happen, everything heals, and then it is judged what came of it."""

import time
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from moneyflow.platform.brokers.notifier import Notifier
from moneyflow.platform.database import Database
from tests.chaos.clients import Clients
from tests.chaos.events import judge_events
from tests.chaos.report import Round
from tests.chaos.requested import Answer, Request, SignUp, accepted, draw_requests
from tests.chaos.scene import Scene
from tests.chaos.storm import Storm
from tests.chaos.verdict import Found, Verdict, judge
from tests.support import mails, rabbitmq_admin
from tests.support.waiting import eventually

_UNFINISHED = """
select 'job ' || state as what, count(*) as rows from jobs
where state not in ('succeeded', 'failed', 'cancelled', 'discarded') group by state
union all select 'event to publish', count(*) from outbox_events having count(*) > 0
union all select 'dead letter to publish', count(*) from job_dead_letters having count(*) > 0
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How large a round is."""

    name: str
    seed: int
    #: The load is spread over this time, and the faults happen in it.
    seconds: float
    requests: int
    sign_ups: int = 0
    #: Only these faults, each so often, in place of all.
    faults: dict[str, int] | None = None
    #: How long after the healing everything must be done.
    settle_seconds: float = 120
    is_control: bool = False


def play(scene: Scene, plan: Plan) -> tuple[Round, Verdict]:
    """Play a round and return its numbers, and what is wrong."""
    began = time.monotonic()
    requests = draw_requests(plan.seed, plan.requests)
    domain = f"{uuid.uuid4().hex[:12]}.example"
    sign_ups = [SignUp(f"person{number}@{domain}") for number in range(plan.sign_ups)]
    settings = scene.client_settings()
    database = Database(
        settings.conninfo("app", application_name="client"), size=8, timeout_seconds=3, notify=Notifier(settings)
    )
    database.open()
    api = next((f"http://127.0.0.1:{actor.process.port}" for actor in scene.of("api")), None)
    try:
        with Storm(scene, seed=plan.seed, seconds=plan.seconds, only=plan.faults) as storm:
            Clients(database, seconds=plan.seconds, api_url=api).send(requests, sign_ups)
    finally:
        scene.heal()
        database.close()
    unfinished = settle(scene, seconds=plan.settle_seconds)
    result, verdict = judge_round(scene, requests, sign_ups, name=plan.name, seed=plan.seed, unfinished=unfinished)
    result.seconds = round(time.monotonic() - began, 1)
    result.faults, result.is_control = storm.faults, plan.is_control
    return result, verdict


def judge_round(
    scene: Scene, requests: list[Request], sign_ups: list[SignUp], *, name: str, seed: int, unfinished: str | None,
    dead_letters_stay: bool = True,
) -> tuple[Round, Verdict]:  # fmt: skip
    """Return the numbers of what was asked for, and what is wrong with what came of it."""
    found = read(scene)
    if not dead_letters_stay:
        found.dead_letters = None
    verdict = judge(found, requests, sign_ups)
    verdict.stuck += [] if unfinished is None else [unfinished]
    if scene.of("consumer"):
        judge_events(verdict, scene.settings, requests, audit_seconds=60)
    _judge_mails(verdict, scene, sign_ups)
    answers = Counter(request.answer for request in requests)
    wrong: dict[str, Any] = {what: len(found) for what, found in vars(verdict).items()}
    result = Round(
        name=name,
        seed=seed,
        accepted=accepted(requests) + sum(s.answer is Answer.ACCEPTED for s in sign_ups),
        unanswered=answers[Answer.NONE],
        refused=answers[Answer.REFUSED],
        **wrong,
    )
    return result, verdict


def settle(scene: Scene, *, seconds: float) -> str | None:
    """Wait until nothing is left to be done; return what is left after `seconds`."""

    def is_done() -> bool:
        return not _unfinished(scene)

    try:
        eventually(is_done, seconds=seconds)
    except AssertionError:
        return f"after {seconds:.0f} seconds without any fault: {_unfinished(scene)}"
    return None


def read(scene: Scene) -> Found:
    """Read everything that a round left."""
    vhost = scene.settings.rabbitmq_vhost
    dead_letters = {
        message["properties"]["message_id"]
        for message in rabbitmq_admin.take_messages(scene.servers, vhost, "jobs_failed", count=10_000)
    }
    with scene.superuser() as connection:
        return Found.read(connection, dead_letters)


def _unfinished(scene: Scene) -> dict[str, int]:
    with scene.superuser() as connection:
        return {row["what"]: row["rows"] for row in connection.execute(_UNFINISHED).fetchall()}


def _judge_mails(verdict: Verdict, scene: Scene, sign_ups: list[SignUp]) -> None:
    """A mail may be sent twice, and is never lost; its Message-ID begins with its job's id."""
    if sign_ups:
        domain = sign_ups[0].email.partition("@")[2]
        sent = {message_id[:36] for message_id in mails.ids_to(scene.settings, domain)}
        missing = {str(s.job_id) for s in sign_ups if s.answer is Answer.ACCEPTED} - sent
        verdict.lost += [f"the mail of {job}" for job in missing]
