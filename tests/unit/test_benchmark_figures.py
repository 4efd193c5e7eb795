"""Figures of the benchmarks: no start-up is in a rate, and a run with a missing or doubled job is refused."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.dev.bench.jobs.listener import Listener, Mark
from ops.dev.bench.jobs.report import Target, quantile
from ops.dev.bench.jobs.systems import CELERY, DRAMATIQ
from ops.dev.bench.jobs.testbed import BenchError
from ops.dev.bench.jobs.throughput import rate_of_all
from ops.dev.bench.jobs.trial import Enqueued, spread
from ops.dev.bench.peers.client import EnqueueRequest, serve
from ops.dev.bench.peers.marks import HEADER, RECORD


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "marks"


@pytest.fixture
def listener(path: Path) -> Iterator[Listener]:
    with Listener(path) as listening:
        yield listening


def _send(path: Path, pid: int, *tags: int) -> None:
    records = b"".join(RECORD.pack(tag, 10.0 + tag, 11.0 + tag) for tag in tags)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(HEADER.pack(pid) + records, str(path))


def test_jobs_that_ended_before_every_process_had_begun_one_are_not_in_the_rate() -> None:
    early = [Mark(pid=1, tag=tag, began=0.0, ended=1.0) for tag in range(50)]
    both = [Mark(pid=1 + tag % 2, tag=tag, began=2.0, ended=3.0) for tag in range(50, 60)]

    assert rate_of_all([*early, *both], ended=4.0) == 10 / 2


def test_the_marks_of_two_processes_are_in_the_order_of_their_begins(listener: Listener, path: Path) -> None:
    _send(path, 7, 3, 1)
    _send(path, 8, 2)

    marks = listener.wait_for(range(1, 4), seconds=5)

    assert [(mark.pid, mark.tag, mark.began, mark.ended) for mark in marks] == [
        (7, 1, 11.0, 12.0),
        (8, 2, 12.0, 13.0),
        (7, 3, 13.0, 14.0),
    ]


def test_a_run_with_a_job_that_ran_twice_is_refused(listener: Listener, path: Path) -> None:
    _send(path, 7, 1, 2, 2, 3)

    with pytest.raises(BenchError, match="ran twice"):
        listener.wait_for(range(1, 4), seconds=5)


def test_a_run_in_which_a_job_is_missing_is_refused(listener: Listener, path: Path) -> None:
    _send(path, 7, 1)

    with pytest.raises(BenchError, match="1 of 2 jobs"):
        listener.wait_for(range(1, 3), seconds=0.1)


def test_a_client_enqueues_every_job_once_in_lots() -> None:
    asked: list[list[int]] = []

    class Client:
        def enqueue(self, kind: str, tags: list[int], *, urgent: bool) -> float:
            assert (kind, urgent) == ("noop", False)
            asked.append(tags)
            return 5.0

    answer = serve(Client(), EnqueueRequest(kind="noop", first_tag=10, count=5, together=2))

    assert asked == [[10, 11], [12, 13], [14]]
    assert answer["returned"] == [5.0, 5.0, 5.0]


def test_clients_share_the_jobs_among_them() -> None:
    parts = spread(range(1, 11), 4)

    assert [tag for part in parts for tag in part] == list(range(1, 11))
    assert [len(part) for part in parts] == [3, 3, 3, 1]


def test_the_rate_of_clients_is_from_the_first_call_to_the_last_return() -> None:
    assert Enqueued(began=1.0, returned={1: 2.0, 2: 5.0, 3: 3.0}).per_second == 3 / 4


def test_a_quantile_of_few_values_is_one_of_them() -> None:
    assert quantile(range(100), 0.5) == 50
    assert quantile(range(100), 0.99) == 99
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_a_target_holds_on_the_right_side_of_its_bound() -> None:
    assert Target(what="rate", value=1.0, bound=1.0, at="least").holds
    assert not Target(what="wait", value=1.1, bound=1.0, at="most").holds


def test_two_processes_are_two_commands_or_one_that_forks() -> None:
    assert [command[-1] for command in CELERY.commands(2)] == ["bench0", "bench1"]
    (forking,) = DRAMATIQ.commands(2)
    assert forking[forking.index("--processes") + 1] == "2"
