"""A rolling restart of consumers pauses a partition hardly longer than a rebalance of a bare consumer does.

`make acceptance ARGS=events` restarts them more often, and keeps the seconds.
"""

import asyncio
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from aiokafka import AIOKafkaProducer

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.settings import AllSettings
from tests.support import tally
from tests.support.processes import Process, Processes
from tests.support.waiting import eventually

#: Seconds between two records of a partition.
_PERIOD = 0.02
_PARTITIONS = 3


@contextmanager
def _steady_records(settings: AllSettings) -> Iterator[None]:
    """Send a record to each partition all the time."""
    ending = threading.Event()

    async def send() -> None:
        async with AIOKafkaProducer(**client_options(settings, "migrate")) as producer:
            while not ending.is_set():
                for partition in range(_PARTITIONS):
                    await producer.send(topic_name(settings, USER_EVENTS), b"any", key=b"k", partition=partition)
                await asyncio.sleep(_PERIOD)

    thread = threading.Thread(target=lambda: asyncio.run(send()))
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(20)


def _longest_pause(written: Sequence[tuple[int, float]], *, since: float) -> float:
    """Return the longest time in which nothing was written of a partition."""
    pauses = []
    for partition in range(_PARTITIONS):
        moments = [at for one, at in written if one == partition and at >= since]
        pauses += [later - earlier for earlier, later in itertools.pairwise(moments)]
    return max(pauses)


@dataclass(frozen=True)
class Scene:
    """How a consumer is started, what all of them have written, and whether one has a partition."""

    start: Callable[[], Process]
    written: Callable[[], list[tuple[int, float]]]
    has_a_partition: Callable[[Process], bool]

    def started(self) -> Process:
        """Start one more, and wait until it has its share."""
        process = self.start()
        eventually(lambda: self.has_a_partition(process), what="it has a partition")
        self.flows()
        return process

    def flows(self) -> float:
        """Wait until each partition is written again; return when this was, in seconds since 1970."""
        last = max((at for _, at in self.written()), default=0.0)
        eventually(
            lambda: {one for one, at in self.written() if at > last} == set(range(_PARTITIONS)),
            what="every partition is written",
        )
        return last


def _pauses(scene: Scene, *, times: int) -> list[float]:
    """Restart each of two consumers, one after the other, and return the longest pause of each restart."""
    running, pauses = [scene.started(), scene.started()], []
    for turn in range(2 * times):
        since = scene.flows()
        running[turn % 2].stop()
        running[turn % 2] = scene.started()
        pauses.append(_longest_pause(scene.written(), since=since))
    for process in running:
        process.stop()
    return pauses


@pytest.mark.long_form
@pytest.mark.timeout(900)
def test_a_rolling_restart_pauses_a_partition_at_most_half_as_long_again_as_a_bare_rebalance(
    topics: AllSettings, processes: Processes, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    tally.create_tables(topics)
    times, path = pytestconfig.getoption("--consumer-restarts"), tmp_path / "bare"
    path.touch()

    def lines() -> list[list[str]]:
        return [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.count(" ") == 2]

    bare = Scene(
        start=lambda: processes.plain("-m", "tests.support.bare_consumer", "bare", str(path)),
        written=lambda: [(int(partition), float(at)) for partition, at, _ in lines()],
        has_a_partition=lambda process: str(process._popen.pid) in {pid for _, _, pid in lines()},
    )
    product = Scene(
        start=lambda: processes.consumer("tally"),
        written=lambda: tally.written_at(topics),
        has_a_partition=lambda process: process.says("/metrics", 'consumer_lag{partition="'),
    )
    with _steady_records(topics):
        theirs, ours = _pauses(bare, times=times), _pauses(product, times=times)

    assert max(tally.tallied(topics).values()) == 1
    _keep(pytestconfig.getoption("--chaos-results"), ours, theirs)
    assert max(ours) <= 1.5 * max(theirs), f"{ours} against {theirs}"


def _keep(folder: str, ours: list[float], theirs: list[float]) -> None:
    if folder:
        figures = {
            name: {"longest": round(max(pauses), 2), "median": round(median(pauses), 2), "restarts": len(pauses)}
            for name, pauses in (("consumer", ours), ("bare_aiokafka", theirs))
        }
        path = Path(folder) / "consumer_restarts.json"
        path.write_text(json.dumps({"pause_seconds": figures}, indent=2) + "\n", encoding="utf-8")
