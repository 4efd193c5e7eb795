"""The gate: ordinary jobs side by side, a suspect alone, and nobody waits for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.waiting import eventually
from workers.gate import Gate


class Visitor:
    """A thread that passes the gate and stays inside until it is told to leave."""

    def __init__(self, way: Callable[[], AbstractContextManager[None]]) -> None:
        self.inside, self.leave, self.left = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._visit, args=(way,), daemon=True)
        self.thread.start()

    def _visit(self, way: Callable[[], AbstractContextManager[None]]) -> None:
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
def gate() -> Gate:
    return Gate()


@pytest.fixture
def visit() -> Iterator[Callable[[Callable[[], AbstractContextManager[None]]], Visitor]]:
    visitors: list[Visitor] = []

    def begin(way: Callable[[], AbstractContextManager[None]]) -> Visitor:
        visitors.append(Visitor(way))
        return visitors[-1]

    yield begin
    for visitor in visitors:
        visitor.leave.set()
    for visitor in visitors:
        visitor.thread.join(5)


Visit = Callable[[Callable[[], AbstractContextManager[None]]], Visitor]


def test_ordinary_jobs_are_inside_together(gate: Gate, visit: Visit) -> None:
    visitors = [visit(gate.together) for _ in range(3)]

    assert all(visitor.is_inside() for visitor in visitors)


def test_a_suspect_waits_until_all_others_are_out(gate: Gate, visit: Visit) -> None:
    others = [visit(gate.together) for _ in range(2)]
    assert all(other.is_inside() for other in others)
    suspect = visit(gate.alone)
    eventually(lambda: gate._want_alone, what="the suspect waits")

    assert others[0].goes()
    assert not suspect.inside.is_set()
    assert others[1].goes()
    assert suspect.is_inside()


def test_newcomers_wait_behind_a_suspect_that_waits(gate: Gate, visit: Visit) -> None:
    first = visit(gate.together)
    assert first.is_inside()
    suspect = visit(gate.alone)
    eventually(lambda: gate._want_alone, what="the suspect waits")
    newcomer = visit(gate.together)

    assert first.goes()
    assert suspect.is_inside()
    assert not newcomer.inside.is_set()
    assert suspect.goes()
    assert newcomer.is_inside()


def test_two_suspects_are_inside_one_after_the_other(gate: Gate, visit: Visit) -> None:
    first = visit(gate.alone)
    assert first.is_inside()
    second = visit(gate.alone)
    eventually(lambda: gate._want_alone, what="the second waits")

    assert not second.inside.is_set()
    assert first.goes()
    assert second.is_inside()


@pytest.mark.parametrize("way", ["together", "alone"])
def test_an_error_inside_leaves_the_gate_open(gate: Gate, visit: Visit, way: str) -> None:
    with pytest.raises(OSError, match="broken"), getattr(gate, way)():
        raise OSError("broken")

    assert visit(gate.alone).is_inside()
