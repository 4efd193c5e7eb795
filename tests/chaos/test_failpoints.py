"""A crash at any named point of the code, at each of them one after the other, loses nothing and doubles nothing."""

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from moneyflow.platform.database import Database
from tests.chaos.clients import Clients, steady_requests
from tests.chaos.crashes import cases, cases_without_a_test_of_their_own, start_dying, until_dead
from tests.chaos.report import Round
from tests.chaos.requested import Answer, Request, SignUp
from tests.chaos.rounds import judge_round, settle
from tests.chaos.scene import Actor, Kind, Scene
from tests.support.failpoints import named_in_source

#: Processes that die in the short form.
_SHORT = 9


@pytest.fixture
def scene(make_scene: Callable[[str], Scene]) -> Scene:
    """Return a scene without any process; its relays look often for what was lost."""
    return make_scene("looks_often")


@dataclass
class Visitor:
    """Signs up with an API that may die of it, and comes back with the same key when it was not answered."""

    domain: str
    sign_ups: list[SignUp]

    def ask(self, actor: Actor) -> None:
        """Ask once, under a new name."""
        if not actor.process.says("/healthz", "ok"):
            return
        self.sign_ups.append(SignUp(f"{uuid.uuid4().hex}@{self.domain}"))
        body = {"email": self.sign_ups[-1].email, "name": "Ada Lovelace", "password": "correct horse"}
        headers = {"Idempotency-Key": self.sign_ups[-1].email}
        with pytest.raises(httpx.TransportError):
            httpx.post(f"http://127.0.0.1:{actor.process.port}/v1/users", json=body, headers=headers, trust_env=False)

    def ask_again(self, api: Actor, database: Database) -> None:
        """Ask until there is an answer, what was asked before."""
        Clients(database, seconds=0, api_url=f"http://127.0.0.1:{api.process.port}").send([], self.sign_ups)
        assert {sign_up.answer for sign_up in self.sign_ups} <= {Answer.ACCEPTED}


@contextmanager
def _load(scene: Scene, database: Database, seed: int) -> Iterator[tuple[list[Request], Visitor]]:
    visitor = Visitor(f"{uuid.uuid4().hex[:12]}.example", [])
    with steady_requests(Clients(database, seconds=1.0), seed=seed) as requests:
        yield requests, visitor


def _all_hold(
    scene: Scene, requests: list[Request], visitor: Visitor, *, database: Database, name: str, seed: int
) -> Round:
    """Start whatever is missing, let it settle, and say whether all is as it must be."""
    for kind in ("relay", "worker"):
        if not scene.of(kind):
            scene.start(kind)
    if visitor.sign_ups:
        visitor.ask_again(scene.start("api"), database)
    unfinished = settle(scene, seconds=60)
    result, verdict = judge_round(
        scene, requests, visitor.sign_ups, name=name, seed=seed, unfinished=unfinished, dead_letters_stay=False
    )
    assert verdict.wrong() == {}
    return result


def test_every_declared_failpoint_is_reached_by_each_kind_of_process_that_has_it() -> None:
    assert {point for _, point in cases()} == named_in_source()
    assert {kind for kind, _ in cases()} == {"worker", "relay", "consumer", "api"}


@pytest.mark.timeout(300)
def test_processes_that_die_all_together_each_at_a_point_of_its_own(
    scene: Scene, database: Database, is_long: bool, first_seed: int, chaos_rounds: list[Round]
) -> None:
    dice = random.Random(f"failpoints/{first_seed}")
    everything = [case for case in cases() if case[0] != "consumer"]
    tried = everything if is_long else dice.sample(cases_without_a_test_of_their_own(), _SHORT)
    scene.start("worker", wait_ready=False)

    with _load(scene, database, first_seed) as (requests, visitor):
        until_dead(scene, [start_dying(scene, *case, dice) for case in tried], visitor.ask)

    result = _all_hold(scene, requests, visitor, database=database, name="all together", seed=first_seed)
    result.faults.update(f"crash of a {kind} at {point}" for kind, point in tried)
    chaos_rounds.append(result)
    assert result.accepted > 50
    assert len(tried) >= _SHORT


@pytest.mark.long_form
@pytest.mark.timeout(200)
@pytest.mark.parametrize(("kind", "point"), cases())
def test_a_process_that_dies_at_a_point_and_is_started_again(
    kind: Kind,
    point: str,
    scene: Scene,
    database: Database,
    first_seed: int,
    chaos_rounds: list[Round],
) -> None:
    for other in ("relay", "worker"):
        if other != kind:
            scene.start(other, wait_ready=False)

    with _load(scene, database, first_seed) as (requests, visitor):
        dying = start_dying(scene, kind, point, random.Random(f"{kind}/{point}/{first_seed}"))
        until_dead(scene, [dying], visitor.ask)
    if kind == "consumer":
        scene.start("consumer")

    result = _all_hold(scene, requests, visitor, database=database, name=f"{kind} dies at {point}", seed=first_seed)
    result.faults[f"crash of a {kind} at {point}"] += 1
    chaos_rounds.append(result)
    assert result.accepted > 10
