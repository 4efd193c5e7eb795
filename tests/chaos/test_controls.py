"""The suite can turn red: plain Dramatiq, or ours with a safeguard taken out, loses and doubles under such faults."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.chaos.plain import play_plain
from tests.chaos.report import Round
from tests.chaos.rounds import Plan, play
from tests.chaos.scene import Scene

MakeScene = Callable[[str], Scene]


@dataclass(frozen=True, kw_only=True)
class Control:
    """A safeguard that is taken out, the faults from which it protects, and what is wrong without it."""

    without: str
    faults: dict[str, int]
    shows: str
    seconds: float = 8
    is_short: bool = False


#: The fence of acks is not among them: what slips through it is caught by the look and by taking back, so it has a test
#: of its own, `tests/e2e/test_stale_acks.py`.
_CONTROLS = (
    Control(without="without_claim", faults={"double what waits in the queue": 4}, shows="doubled"),
    Control(without="without_confirm", faults={"delete the queue": 3}, shows="lost", is_short=True),
    Control(without="without_fence", faults={"freeze a worker beyond its lease": 3}, shows="doubled", seconds=15),
    Control(without="without_look", faults={"purge the queue": 3}, shows="lost"),
    Control(without="without_rescue", faults={"kill all workers and lose their messages": 3}, shows="lost"),
    Control(without="without_one_transaction", faults={"kill a worker": 8}, shows="doubled", seconds=12),
)


@pytest.mark.long_form
@pytest.mark.timeout(200)
def test_plain_dramatiq_loses_and_doubles(
    make_scene: MakeScene, first_seed: int, is_long: bool, chaos_rounds: list[Round]
) -> None:
    seconds = 30 if is_long else 9
    faults = {"kill a worker": 12, "lose some of the workers connections with rabbitmq": 12}
    plan = Plan(name="plain Dramatiq", seed=first_seed, seconds=seconds, requests=20 * seconds, faults=faults)

    result = play_plain(make_scene("nothing"), plan)
    chaos_rounds.append(result)

    assert result.faults.total() >= 5
    assert result.doubled > 0
    assert result.lost > 0 or not is_long


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    "control",
    [
        pytest.param(control, id=control.without, marks=() if control.is_short else pytest.mark.long_form)
        for control in _CONTROLS
    ],
)
def test_without_a_safeguard_the_suite_turns_red(
    control: Control, make_scene: MakeScene, first_seed: int, is_long: bool, chaos_rounds: list[Round]
) -> None:
    scene = make_scene(control.without)
    for kind in ("relay", "worker", "worker"):
        scene.start(kind, wait_ready=False)
    scene.heal()
    seconds = control.seconds if is_long else 5
    plan = Plan(name=control.without, seed=first_seed, seconds=seconds, requests=int(20 * seconds),
                faults=control.faults, settle_seconds=12 if is_long else 5, is_control=True)  # fmt: skip

    result, verdict = play(scene, plan)
    chaos_rounds.append(result)

    assert control.shows in verdict.wrong()
