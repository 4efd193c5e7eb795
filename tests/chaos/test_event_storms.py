"""Whatever happens to consumers, the relay, Kafka, Postgres and the CRM: each sink has every event, once.

`make acceptance ARGS=events` has the long form, of 200,000 events.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos.histories import Histories, note_emitted
from tests.chaos.report import Round
from tests.chaos.scene import Scene
from tests.chaos.sinks import JUDGES, in_the_end, is_read, judge_crm, sinks
from tests.chaos.storm import Storm
from tests.support.crm import ALL_FAULTS, RunningCrm, running_crm
from tests.support.waiting import eventually

#: How often each fault happens in the short form, and for each 20,000 events of the long one.
_FAULTS = {
    "kill the consumer": 4,
    "freeze a consumer beyond its session": 1,
    "stop a consumer": 1,
    "kill the leading relay": 1,
    "crash or restart kafka": 1,
    "end all sessions in postgres": 1,
}
_OF_THE_LONG_FORM = {"restart postgres": 1, "crash postgres": 1}


@pytest.fixture
def events(pytestconfig: pytest.Config) -> int:
    """Return how many events are emitted."""
    count: int = pytestconfig.getoption("--events")
    return count


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[RunningCrm]:
    """Return the CRM that people are sent to."""
    with running_crm(tmp_path / "crm.sqlite") as running:
        yield running


@pytest.fixture
def scene(make_scene: Callable[[str], Scene], crm: RunningCrm) -> Scene:
    """Return two relays, and two instances of the consumer of each sink."""
    scene = make_scene("missed_soon")
    for _ in range(2):
        scene.start("relay", wait_ready=False, sabotage="looks_often")
        for sink in sinks():
            if sink.name == "crm":
                scene.start("consumer", wait_ready=False, sink="crm", sabotage="sends_soon", **crm.settings())
            else:
                scene.start("consumer", wait_ready=False, sink=sink.name)
    scene.heal()
    return scene


@pytest.mark.timeout(3600)
def test_every_sink_has_each_event_once_through_a_storm_of_faults(
    scene: Scene, crm: RunningCrm, first_seed: int, events: int, chaos_rounds: list[Round]
) -> None:
    long = events // 20_000
    faults = {name: count * max(1, long) for name, count in (_FAULTS | (_OF_THE_LONG_FORM if long else {})).items()}
    with scene.superuser() as connection:
        note_emitted(connection)

    crm.set_faults(*ALL_FAULTS)
    size = 100 if long else 10
    with (
        Histories(scene.settings, seed=first_seed, events=events, size=size),
        Storm(scene, seed=first_seed, seconds=3000 if long else 20, only=faults) as storm,
    ):
        pass
    crm.set_faults()
    scene.heal()

    with scene.superuser() as connection:
        for sink in sinks():
            eventually(
                lambda: is_read(sink, scene.settings, connection),  # noqa: B023
                seconds=600,
                what=f"{sink.name} has read all events",
            )
        (emitted,) = connection.execute("select count(*) from emitted").fetchall()
        found = {name: in_the_end(partial(judge, scene.settings, connection)) for name, judge in JUDGES.items()}
        found["crm"] = judge_crm(crm, connection)
    result = Round(name=f"{emitted['count']} events", seed=first_seed, accepted=emitted["count"])
    result.faults, result.lost = storm.faults, sum(map(len, found.values()))
    chaos_rounds.append(result)
    assert found == {sink.name: [] for sink in sinks()}
    assert emitted["count"] >= events
    assert storm.faults.total() >= sum(faults.values()) / 2
    assert dict(scene.ended_by_themselves) == {}
