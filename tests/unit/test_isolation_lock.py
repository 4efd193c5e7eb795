"""The isolation lock: ordinary jobs side by side, a quarantined job alone, and no thread waits for ever."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from tests.support.waiting import eventually
from workers.claims.lock import IsolationLock


def _alone(lock: IsolationLock) -> "Callable[[], AbstractContextManager[object]]":
    return lambda: lock.alone(wait_seconds=10)


class Visitor:
    """A thread that takes the lock and stays inside until the test lets it leave."""

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
def lock() -> IsolationLock:
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


def test_ordinary_jobs_are_inside_together(lock: IsolationLock, visit: Visit) -> None:
    visitors = [visit(lambda: lock) for _ in range(3)]

    assert all(visitor.is_inside() for visitor in visitors)


def test_a_quarantined_job_waits_until_all_others_are_out(lock: IsolationLock, visit: Visit) -> None:
    others = [visit(lambda: lock) for _ in range(2)]
    assert all(other.is_inside() for other in others)
    quarantined = visit(_alone(lock))
    eventually(lambda: lock._want_alone, what="the quarantined job waits")

    assert others[0].goes()
    assert not quarantined.inside.is_set()
    assert others[1].goes()
    assert quarantined.is_inside()


def test_newcomers_wait_after_a_quarantined_job_that_waits(lock: IsolationLock, visit: Visit) -> None:
    first = visit(lambda: lock)
    assert first.is_inside()
    quarantined = visit(_alone(lock))
    eventually(lambda: lock._want_alone, what="the quarantined job waits")
    newcomer = visit(lambda: lock)

    assert first.goes()
    assert quarantined.is_inside()
    assert not newcomer.inside.is_set()
    assert quarantined.goes()
    assert newcomer.is_inside()


def test_two_quarantined_jobs_are_inside_one_after_the_other(lock: IsolationLock, visit: Visit) -> None:
    first = visit(_alone(lock))
    assert first.is_inside()
    second = visit(_alone(lock))
    eventually(lambda: lock._want_alone, what="the second waits")

    assert not second.inside.is_set()
    assert first.goes()
    assert second.is_inside()


@pytest.mark.parametrize("way", ["together", "alone"])
def test_an_error_inside_releases_the_lock(lock: IsolationLock, visit: Visit, way: str) -> None:
    passing: AbstractContextManager[object] = lock if way == "together" else lock.alone(wait_seconds=1)
    with pytest.raises(OSError, match="broken"), passing:
        raise OSError("broken")

    assert visit(_alone(lock)).is_inside()


def test_a_quarantined_job_gives_up_after_its_timeout_and_newcomers_pass_again(
    lock: IsolationLock, visit: Visit
) -> None:
    long = visit(lambda: lock)
    assert long.is_inside()

    with lock.alone(wait_seconds=0.05) as is_alone:
        assert not is_alone
        assert visit(lambda: lock).is_inside()
