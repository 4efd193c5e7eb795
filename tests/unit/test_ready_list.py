"""Ready list source: a worker takes the ids that it has room for, and leaves the others to other workers."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import redis

from moneyflow.platform.ids import new_id
from tests.support.waiting import eventually
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery
from workers.intake.ready_list import ReadyListSource

_DOWN = redis.ConnectionError("Redis is down")


@dataclass
class Ids:
    """What `take` finds, call by call; an error is raised. `asked` is what it was asked for."""

    found: deque[list[tuple[int, UUID]] | Exception] = field(default_factory=deque)
    asked: list[tuple[int, int]] = field(default_factory=list)
    returned: list[tuple[int, UUID]] = field(default_factory=list)
    closed: bool = False
    server: str = "127.0.0.1:6379"

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

    def put_back(self, ids: Sequence[tuple[int, UUID]]) -> None:
        self.returned.extend(ids)

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


@dataclass
class Worker:
    ids: Ids
    source: ReadyListSource
    buffer: ClaimBuffer
    delivered: list[Delivery]

    def delivered_ids(self) -> list[UUID]:
        return [delivery.job_id for delivery in self.delivered]


def _worker(*found: list[tuple[int, UUID]] | Exception, room: Room, is_open: bool = True) -> Worker:
    ids = Ids(deque(found))
    delivered: list[Delivery] = []
    buffer = ClaimBuffer(lambda _: [])
    buffer._freed.set()  # Nothing waits for a thread here.
    source = ReadyListSource(ids, buffer, room, is_open=lambda: is_open, deliver=delivered.append, retry_seconds=0.001)
    return Worker(ids, source, buffer, delivered)


def _some(count: int, priority: int = 5) -> list[tuple[int, UUID]]:
    return [(priority, new_id()) for _ in range(count)]


def _waiting(worker: Worker, *priorities: int) -> None:
    for priority in priorities:
        worker.buffer.arrived(Delivery(job_id=new_id(), priority=priority, settle=lambda _: None))


def test_an_idle_worker_delivers_the_ids_that_it_has_room_for() -> None:
    ids = _some(3)
    worker = _worker(ids, room=Room([4]))

    worker.source.deliver_next()

    assert worker.delivered_ids() == [job_id for _, job_id in ids]
    assert worker.ids.asked == [(0, 4)]
    assert all(delivery.is_best_effort for delivery in worker.delivered)
    assert worker.buffer.unstarted() == 3


def test_a_busy_worker_asks_only_for_what_outranks_what_waits_in_it() -> None:
    worker = _worker(_some(2, priority=9), room=Room([0], urgent=2))
    _waiting(worker, 3, 7)

    worker.source.deliver_next()

    assert worker.ids.asked == [(4, 2)]
    assert len(worker.delivered) == 2


@pytest.mark.parametrize("waiting", [[], [10]])
def test_a_busy_worker_in_which_nothing_can_be_outranked_asks_for_nothing(waiting: list[int]) -> None:
    worker = _worker(_some(1, priority=10), room=Room([0], urgent=4))
    _waiting(worker, *waiting)

    worker.source.deliver_next()

    assert worker.ids.asked == []
    assert worker.delivered == []


def test_a_worker_without_a_connection_to_rabbitmq_asks_for_nothing() -> None:
    worker = _worker(_some(1), room=Room([4]), is_open=False)

    worker.source.deliver_next()

    assert worker.ids.asked == []


def test_ids_that_came_when_the_threads_were_busy_again_go_back() -> None:
    ids = _some(3)
    worker = _worker(ids, room=Room([4, 1]))

    worker.source.deliver_next()

    assert worker.delivered_ids() == [ids[0][1]]
    assert worker.ids.returned == ids[1:]


def test_ids_of_a_priority_that_was_outranked_meanwhile_go_back() -> None:
    ids = _some(1, priority=5)
    worker = _worker(ids, room=Room([4, 0], urgent=2))
    _waiting(worker, 7)

    worker.source.deliver_next()

    assert worker.delivered == []
    assert worker.ids.returned == ids


def test_ids_that_come_to_a_worker_that_stops_go_back() -> None:
    ids = _some(2)
    worker = _worker(ids, room=Room([4]))
    worker.source.stop()

    worker.source.deliver_next()

    assert worker.delivered == []
    assert worker.ids.returned == ids
    assert worker.buffer.unstarted() == 0


@pytest.mark.parametrize("error", [_DOWN, ValueError("no UUID")], ids=["Redis is down", "a bug"])
def test_an_error_ends_no_thread_and_ids_are_taken_again_after_it(
    error: Exception,
) -> None:
    ids = _some(1)
    worker = _worker(error, ids, room=Room([4]))

    worker.source.start()
    eventually(lambda: bool(worker.delivered), what="the next id is delivered")
    worker.source.stop()
    worker.source.thread.join(5)

    assert worker.delivered_ids() == [ids[0][1]]
    assert not worker.source.thread.is_alive()
    assert worker.ids.closed
