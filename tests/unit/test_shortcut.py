"""The shortcut: a worker takes by their names the jobs for which it has room, and leaves the others to others."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import pytest
import redis

from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store.claims import Claim
from tests.support.waiting import eventually
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery
from workers.intake.ready_list import ReadyListSource

_AWAY = redis.ConnectionError("Redis is away")


@dataclass
class Names:
    """What `take` finds, call by call; an error is raised. `asked` is what it was asked for."""

    found: deque[list[tuple[int, UUID]] | Exception] = field(default_factory=deque)
    asked: list[tuple[int, int]] = field(default_factory=list)
    returned: list[tuple[int, UUID]] = field(default_factory=list)
    closed: bool = False

    def take(self, priorities: Sequence[int], *, most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
        assert wait_seconds > 0
        self.asked.append((min(priorities), most))
        if not self.found:
            threading.Event().wait(0.005)
            return []
        found = self.found.popleft()
        if isinstance(found, Exception):
            raise found
        return found

    def put_back(self, names: Sequence[tuple[int, UUID]]) -> None:
        self.returned.extend(names)

    def close(self) -> None:
        self.closed = True


@dataclass
class Room:
    """Free threads, one look after the other; the last stays."""

    free: list[int]
    urgent: int = 0

    def free_threads(self) -> int:
        return self.free.pop(0) if len(self.free) > 1 else self.free[0]

    def urgent_ahead(self) -> int:
        return self.urgent


class Ledger:
    """Claims what it is asked for, but for what is `gone`; or raises."""

    def __init__(self) -> None:
        self.gone: set[UUID] = set()
        self.error: Exception | None = None

    def __call__(self, ids: Sequence[UUID]) -> list[Claim]:
        if self.error:
            raise self.error
        return [
            Claim(
                id=job_id, kind="x", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=1,
                correlation_id=None, traceparent=None, wait_seconds=0, time_limit_seconds=60,
            )
            for job_id in ids if job_id not in self.gone
        ]  # fmt: skip


@dataclass
class Worker:
    names: Names
    shortcut: ReadyListSource
    ledger: Ledger
    window: ClaimBuffer
    started: list[Delivery]

    def started_ids(self) -> list[UUID]:
        return [delivery.job_id for delivery in self.started]


@contextmanager
def _worker(*found: list[tuple[int, UUID]] | Exception, room: Room, is_open: bool = True) -> Iterator[Worker]:
    names, ledger, started = Names(deque(found)), Ledger(), []
    window = ClaimBuffer(ledger)
    shortcut = ReadyListSource(
        names, window, room,
        wait_until_freed=lambda seconds: threading.Event().wait(min(seconds, 0.005)) and None,
        is_open=lambda: is_open,
        start=started.append,
    )  # fmt: skip
    yield Worker(names, shortcut, ledger, window, started)
    shortcut.stop()
    if shortcut.thread.ident is not None:
        shortcut.thread.join(5)
        assert not shortcut.thread.is_alive()
        assert names.closed


def _some(count: int, priority: int = 5) -> list[tuple[int, UUID]]:
    return [(priority, new_id()) for _ in range(count)]


def test_an_idle_worker_claims_and_starts_what_it_is_told_of() -> None:
    names = _some(3)
    with _worker(names, room=Room([4])) as worker:
        worker.shortcut.start()
        eventually(lambda: len(worker.started) == 3, what="all are started")

    assert worker.started_ids() == [job_id for _, job_id in names]
    assert worker.names.asked[0] == (0, 4)
    assert not any(delivery.has_message for delivery in worker.started)
    assert [worker.window.take(d) is not None for d in worker.started] == [True] * 3


def test_a_name_whose_job_is_not_there_to_be_claimed_starts_nothing() -> None:
    (gone, there) = _some(2)
    with _worker([gone, there], room=Room([4])) as worker:
        worker.ledger.gone.add(gone[1])
        worker.shortcut.start()
        eventually(lambda: bool(worker.started), what="the other is started")

    assert worker.started_ids() == [there[1]]
    assert worker.window.unstarted() == 1


def test_a_busy_worker_asks_only_for_what_outranks_what_waits_in_it() -> None:
    with _worker(_some(2, priority=9), room=Room([0], urgent=2)) as worker:
        worker.window.arrived(Delivery(job_id=new_id(), priority=3))
        worker.window.arrived(Delivery(job_id=new_id(), priority=7))
        worker.shortcut.start()
        eventually(lambda: len(worker.started) == 2, what="the urgent ones are started")

    assert worker.names.asked[0] == (4, 2)


@pytest.mark.parametrize("waiting", [[], [10]])
def test_a_busy_worker_in_which_nothing_can_be_outranked_asks_for_nothing(waiting: list[int]) -> None:
    with _worker(_some(1, priority=10), room=Room([0], urgent=4)) as worker:
        for priority in waiting:
            worker.window.arrived(Delivery(job_id=new_id(), priority=priority))
        worker.shortcut.start()
        threading.Event().wait(0.1)

    assert worker.names.asked == []


def test_a_worker_without_a_connection_to_rabbitmq_asks_for_nothing() -> None:
    with _worker(_some(1), room=Room([4]), is_open=False) as worker:
        worker.shortcut.start()
        threading.Event().wait(0.1)

    assert worker.names.asked == []


def test_names_that_came_when_the_threads_were_busy_again_go_back() -> None:
    names = _some(3)
    with _worker(names, room=Room([4, 1])) as worker:
        worker.shortcut.start()
        eventually(lambda: bool(worker.started), what="one is started")

    assert worker.started_ids() == [names[0][1]]
    assert worker.names.returned == names[1:]


def test_names_that_come_to_a_worker_that_stops_go_back() -> None:
    names = _some(2)
    with _worker(names, room=Room([4])) as worker:
        take = worker.names.take

        def stop_then_take(*asked: Sequence[int], most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
            worker.shortcut.stop()
            return take(*asked, most=most, wait_seconds=wait_seconds)

        worker.names.take = stop_then_take  # type: ignore[method-assign]
        worker.shortcut.start()
        eventually(lambda: worker.names.closed, what="it has stopped")

    assert worker.started == []
    assert worker.names.returned == names
    assert worker.window.unstarted() == 0


def test_when_redis_is_back_names_are_taken_again() -> None:
    names = _some(1)
    with _worker(_AWAY, names, room=Room([4])) as worker:
        worker.shortcut.start()
        eventually(lambda: bool(worker.started), what="the job is started")

    assert worker.started_ids() == [names[0][1]]


def test_when_postgres_is_back_what_was_taken_is_claimed_after_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.intake.ready_list._RETRY_SECONDS", 0.01)
    names = _some(1)
    with _worker(names, room=Room([4])) as worker:
        worker.ledger.error = psycopg.OperationalError("away")
        worker.shortcut.start()
        eventually(lambda: bool(worker.names.asked), what="it has taken the name")
        threading.Event().wait(0.05)
        assert worker.started == []
        worker.ledger.error = None
        eventually(lambda: bool(worker.started), what="it is started")

    assert worker.started_ids() == [names[0][1]]


def test_whoever_is_asked_to_stop_while_postgres_is_away_stops() -> None:
    with _worker(_some(1), room=Room([4])) as worker:
        worker.ledger.error = psycopg.OperationalError("away")
        worker.shortcut.start()
        eventually(lambda: bool(worker.names.asked), what="it has taken the name")

    assert worker.started == []
    assert worker.window.unstarted() == 0


def test_an_error_that_nobody_foresaw_ends_no_thread() -> None:
    names = _some(1)
    with _worker(ValueError("no UUID"), names, room=Room([4])) as worker:
        worker.shortcut.start()
        eventually(lambda: bool(worker.started), what="the next is started")

    assert worker.started_ids() == [names[0][1]]
