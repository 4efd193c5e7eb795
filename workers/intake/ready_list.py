"""Ready list source: jobs that were just committed, taken by their ids from Redis before they have a message.

Best effort: the claim decides as for every message, and the relay publishes what no worker took within 50 ms. So Redis
may lose ids, or deliver them twice.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import redis
import structlog

from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery, Verdict

log = structlog.get_logger(__name__)

#: Seconds that an idle worker waits for an id, and a busy one for an urgent id, before each looks at its load again.
_IDLE_SECONDS = 0.5
_BUSY_SECONDS = 0.1
#: Seconds before Redis is asked again after an error.
_RETRY_SECONDS = 0.5


class ReadyIds(Protocol):
    """The ready list: ids of jobs by priority."""

    @property
    def server(self) -> str:
        """Return the address of its server as host:port, for the log."""

    def take(self, priorities: Sequence[int], *, most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
        """Return up to `most` ids, each with its priority, of the first priority that has any."""

    def put_back(self, ids: Sequence[tuple[int, UUID]]) -> None:
        """Let another worker have them; all are of one priority."""

    def close(self) -> None:
        """Close the connection."""


class Room(Protocol):
    """How many more jobs this worker has room for."""

    def free_threads(self) -> int:
        """Return how many threads are idle."""

    def urgent_ahead(self) -> int:
        """Return how many more urgent jobs may wait here for busy threads."""


class ReadyListSource:
    """Delivers ready jobs to idle threads; to threads that are busy with quick jobs, what outranks all that waits."""

    def __init__(
        self,
        ready: ReadyIds,
        buffer: ClaimBuffer,
        room: Room,
        *,
        is_open: Callable[[], bool],
        deliver: Callable[[Delivery], None],
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._ready = ready
        self._buffer = buffer
        self._room = room
        self._is_open = is_open
        self._deliver = deliver
        self._retry_seconds = retry_seconds
        self._stopping = threading.Event()
        self._is_down = False
        self.thread = threading.Thread(target=self._run, name="ready list", daemon=True)

    def start(self) -> None:
        """Start to deliver."""
        self.thread.start()

    def stop(self) -> None:
        """Deliver nothing from now on."""
        self._stopping.set()

    def deliver_next(self) -> None:
        """Deliver the ids that there is room for; wait for some, at most half a second."""
        lowest, most = self._wanted()
        if not most or not self._is_open():
            self._buffer.wait_until_freed(_BUSY_SECONDS)
            return
        priorities = range(HIGHEST_PRIORITY, lowest - 1, -1)
        ids = self._ready.take(priorities, most=most, wait_seconds=_BUSY_SECONDS if lowest else _IDLE_SECONDS)
        self._is_down = False
        if not ids:
            return
        lowest, most = self._wanted()  # RabbitMQ may have delivered work during the wait.
        wanted = most if ids[0][0] >= lowest and not self._stopping.is_set() else 0
        if ids[wanted:]:
            self._ready.put_back(ids[wanted:])
        for priority, job_id in ids[:wanted]:
            delivery = Delivery(job_id=job_id, priority=priority, settle=_settle, is_best_effort=True)
            self._buffer.arrived(delivery)
            self._deliver(delivery)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.deliver_next()
            except redis.RedisError as error:
                if not self._is_down:
                    log.warning(
                        "ready_list_lost",
                        server=self._ready.server,
                        error=str(error),
                        consequence="jobs come by RabbitMQ alone",
                    )
                self._is_down = True
                self._stopping.wait(self._retry_seconds)
            except Exception:
                log.exception("unexpected_error", consequence="jobs come by RabbitMQ alone for a moment")
                self._stopping.wait(self._retry_seconds)
        self._ready.close()

    def _wanted(self) -> tuple[int, int]:
        """Return the lowest priority that has room here, and for how many of its jobs; 0 when none has."""
        free = self._room.free_threads()
        if free > 0:
            return 0, free
        lowest = self._buffer.lowest_priority()
        if lowest is None or lowest == HIGHEST_PRIORITY:
            return 0, 0
        return lowest + 1, self._room.urgent_ahead()


def _settle(_: Verdict) -> None:
    """Settle nothing: an id has no message, and the relay publishes a job that still waits."""
