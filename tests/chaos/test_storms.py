"""Whatever happens to whatever part at whatever moment: what was accepted is done, once."""

from collections.abc import Callable

import pytest

from tests.chaos.report import Round
from tests.chaos.rounds import Plan, play
from tests.chaos.scene import Scene


@pytest.fixture
def scene(make_scene: Callable[[str], Scene], is_long: bool, pytestconfig: pytest.Config) -> Scene:
    """Return two relays and two workers, in the long form an API and the consumer of the audit log as well."""
    scene = make_scene(pytestconfig.getoption("--chaos-without"))
    for kind in ("relay", "relay", "worker", "worker", *(("api", "consumer") if is_long else ())):
        scene.start(kind, wait_ready=False)
    scene.heal()
    return scene


@pytest.mark.timeout(400)
def test_what_was_accepted_is_done_once_through_a_storm_of_faults(
    scene: Scene, seed: int, is_long: bool, chaos_rounds: list[Round]
) -> None:
    plan = (
        Plan(name="storm", seed=seed, seconds=35, requests=600, sign_ups=60)
        if is_long
        else Plan(name="storm", seed=seed, seconds=10, requests=170)
    )

    result, verdict = play(scene, plan)
    chaos_rounds.append(result)

    assert verdict.wrong() == {}
    assert result.faults.total() >= plan.seconds / 2
    assert result.accepted >= plan.requests / 2
    assert dict(scene.ended_by_themselves) == {}
