"""The gate: ordinary jobs side by side, a suspect alone, and nobody waits for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.waiting import eventually
from workers.claims.lock import IsolationLock


def _alone(gate: IsolationLock) -> "Callable[[], AbstractContextManager[object]]":
    return lambda: gate.alone(wait_seconds=10)


class Visitor:
    """A thread that passes the gate and stays inside until it is told to leave."""

    def __init__(self, way: Callable[[], AbstractContextManager[object]]) -> None:
        self.inside, self.leave, self.left = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._visit, args=(way,), daemon=True)
        self.thread.start()

    def _visit(self, way: Callable[[], AbstractContextManager[object]]) -> None:
        with way():
            self.inside.set()
            assert self.leave.wait(10)
        self.left.set()

    def is_inside(self) -> bool:
        return self.inside.wait(5)

    def goes(self) -> bool:
        self.leave.set()
        return self.left.wait(5)


@pytest.fixture
def gate() -> IsolationLock:
    return IsolationLock()


@pytest.fixture
def visit() -> Iterator[Callable[[Callable[[], AbstractContextManager[object]]], Visitor]]:
    visitors: list[Visitor] = []

    def begin(way: Callable[[], AbstractContextManager[object]]) -> Visitor:
        visitors.append(Visitor(way))
        return visitors[-1]

    yield begin
    for visitor in visitors:
        visitor.leave.set()
    for visitor in visitors:
        visitor.thread.join(5)


Visit = Callable[[Callable[[], AbstractContextManager[object]]], Visitor]


def test_ordinary_jobs_are_inside_together(gate: IsolationLock, visit: Visit) -> None:
    visitors = [visit(lambda: gate) for _ in range(3)]

    assert all(visitor.is_inside() for visitor in visitors)


def test_a_suspect_waits_until_all_others_are_out(gate: IsolationLock, visit: Visit) -> None:
    others = [visit(lambda: gate) for _ in range(2)]
    assert all(other.is_inside() for other in others)
    suspect = visit(_alone(gate))
    eventually(lambda: gate._want_alone, what="the suspect waits")

    assert others[0].goes()
    assert not suspect.inside.is_set()
    assert others[1].goes()
    assert suspect.is_inside()


def test_newcomers_wait_behind_a_suspect_that_waits(gate: IsolationLock, visit: Visit) -> None:
    first = visit(lambda: gate)
    assert first.is_inside()
    suspect = visit(_alone(gate))
    eventually(lambda: gate._want_alone, what="the suspect waits")
    newcomer = visit(lambda: gate)

    assert first.goes()
    assert suspect.is_inside()
    assert not newcomer.inside.is_set()
    assert suspect.goes()
    assert newcomer.is_inside()


def test_two_suspects_are_inside_one_after_the_other(gate: IsolationLock, visit: Visit) -> None:
    first = visit(_alone(gate))
    assert first.is_inside()
    second = visit(_alone(gate))
    eventually(lambda: gate._want_alone, what="the second waits")

    assert not second.inside.is_set()
    assert first.goes()
    assert second.is_inside()


@pytest.mark.parametrize("way", ["together", "alone"])
def test_an_error_inside_leaves_the_gate_open(gate: IsolationLock, visit: Visit, way: str) -> None:
    passing: AbstractContextManager[object] = gate if way == "together" else gate.alone(wait_seconds=1)
    with pytest.raises(OSError, match="broken"), passing:
        raise OSError("broken")

    assert visit(_alone(gate)).is_inside()


def test_a_suspect_gives_up_after_its_time_and_newcomers_pass_again(gate: IsolationLock, visit: Visit) -> None:
    long = visit(lambda: gate)
    assert long.is_inside()

    with gate.alone(wait_seconds=0.05) as is_alone:
        assert not is_alone
        assert visit(lambda: gate).is_inside()
