"""The short way to an idle worker: it takes jobs by their names as they are committed, without a message.

A name is a hint. The claim decides here as for every message, the relay publishes what nobody took, and what this
process holds when it dies is taken back like any other job. So Redis may lose names, or give them twice.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

import psycopg
import redis
import structlog

from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery

log = structlog.get_logger(__name__)

#: An idle worker waits for so long for a name, and a busy one for an urgent name, before each looks at itself again.
_IDLE_SECONDS = 0.5
_BUSY_SECONDS = 0.1
#: While Redis or Postgres is away, they are asked again after this.
_RETRY_SECONDS = 0.5
#: The relay may have a row locked as it marks what it has published; once more after this, then the job has a message.
_LOCKED_SECONDS = 0.002
#: Who stops waits for so long for a claim that is under way.
_STOP_SECONDS = 5.0


class Ready(Protocol):
    """Where the names of jobs that are ready come from."""

    def take(self, priorities: Sequence[int], *, most: int, wait_seconds: float) -> list[tuple[int, UUID]]:
        """Return some, each with its priority, of the first priority that has any."""

    def put_back(self, names: Sequence[tuple[int, UUID]]) -> None:
        """Let another worker have them; all are of one priority."""

    def close(self) -> None:
        """End the connection."""


class Room(Protocol):
    """How much this worker has room for."""

    def free_threads(self) -> int:
        """Return how many threads have nothing to do, now or in a moment."""

    def urgent_ahead(self) -> int:
        """Return how many more urgent jobs may wait here for busy threads."""


class ReadyListSource:
    """Takes names while threads are idle; while they are busy with quick jobs, those that outrank what waits here."""

    def __init__(
        self,
        ready: Ready,
        window: ClaimBuffer,
        room: Room,
        *,
        wait_until_freed: Callable[[float], None],
        is_open: Callable[[], bool],
        start: Callable[[Delivery], None],
    ) -> None:
        self._ready = ready
        self._window = window
        self._room = room
        self._wait_until_freed = wait_until_freed
        self._is_open = is_open
        self._start = start
        self._taking = threading.Lock()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="shortcut", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        self.thread.start()

    def stop(self) -> None:
        """Take nothing from now on; what was taken is in the window, unless Postgres does not answer."""
        self._stopping.set()
        if self._taking.acquire(timeout=_STOP_SECONDS):
            self._taking.release()

    def _run(self) -> None:
        is_away = False
        while not self._stopping.is_set():
            try:
                names = self._next_names()
                if names and not self._take(names):
                    self._ready.put_back(names)
                is_away = False
            except redis.RedisError as error:
                if not is_away:
                    log.warning("shortcut_closed", error=str(error), consequence="jobs come by RabbitMQ alone")
                is_away = True
                self._stopping.wait(_RETRY_SECONDS)
            except Exception:
                log.exception("unexpected_error", consequence="jobs come by RabbitMQ alone for a moment")
                self._stopping.wait(_RETRY_SECONDS)
        self._ready.close()

    def _next_names(self) -> list[tuple[int, UUID]]:
        """Return names for which there is room here, none when none came within a while."""
        lowest, most = self._wanted()
        if not most or not self._is_open():
            self._wait_until_freed(_BUSY_SECONDS)
            return []
        priorities = range(HIGHEST_PRIORITY, lowest - 1, -1)
        names = self._ready.take(priorities, most=most, wait_seconds=_BUSY_SECONDS if lowest else _IDLE_SECONDS)
        if not names:
            return []
        lowest, most = self._wanted()  # It may have waited for long, and RabbitMQ has brought work meanwhile.
        wanted = most if names[0][0] >= lowest else 0
        if names[wanted:]:
            self._ready.put_back(names[wanted:])
        return names[:wanted]

    def _wanted(self) -> tuple[int, int]:
        """Return the lowest priority that has a place here, and how many of it; 0 when none has."""
        free = self._room.free_threads()
        if free > 0:
            return 0, free
        lowest = self._window.lowest_priority()
        if lowest is None or lowest == HIGHEST_PRIORITY:
            return 0, 0
        return lowest + 1, self._room.urgent_ahead()

    def _take(self, names: Sequence[tuple[int, UUID]]) -> bool:
        """Claim these, and start those that could be; False when this worker stops."""
        deliveries = [Delivery(job_id=job_id, priority=priority, has_message=False) for priority, job_id in names]
        with self._taking:
            if self._stopping.is_set():
                return False
            claimed = self._claimed(deliveries)
            if len(claimed) < len(deliveries):
                time.sleep(_LOCKED_SECONDS)
                claimed += self._claimed([one for one in deliveries if one not in claimed])
            for delivery in claimed:
                self._start(delivery)
            return True

    def _claimed(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Claim these, however long Postgres is away: a claim whose answer was lost may have taken them already."""
        while True:
            try:
                return self._window.claim_now(deliveries)
            except psycopg.Error as error:
                log.warning("shortcut_claim_failed", error=str(error), consequence="it is tried again")
                if self._stopping.wait(_RETRY_SECONDS):
                    return []
