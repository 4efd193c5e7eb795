"""Prefetch policy: how many unacked messages this worker holds: some while jobs are quick, none while they are slow."""

import math
import time
from collections.abc import Callable
from typing import Protocol

#: Seconds of work that each thread has waiting besides the job that it runs: enough to bridge the way to RabbitMQ.
_AHEAD_SECONDS = 0.05
#: Messages ahead at most; with eight threads a prefetch of 516.
_MOST_AHEAD = 508
#: PERF: seconds that the acks of quick jobs wait for others. An ack that is sent alone wakes this side and RabbitMQ,
#: which takes as long as a small job. The acks of slow jobs go at once: each holds a place of the prefetch.
_GATHER_SECONDS = 0.02
#: Seconds below which a job is quick.
_QUICK_SECONDS = 0.025
#: Seconds that a delivery may wait here while all threads are busy, before it goes to a worker that may be idle.
_LONGEST_WAIT_SECONDS = 0.5
#: Seconds of unused prefetch after which RabbitMQ has no message for this worker: it had the time to deliver one.
_CREDIT_SECONDS = 0.005


class Load(Protocol):
    """What the threads of this worker do."""

    @property
    def usual_seconds(self) -> float | None:
        """Return how many seconds a job has taken lately."""

    def running(self) -> int:
        """Return how many jobs run."""

    def is_closed(self) -> bool:
        """Return whether a quarantined job runs, or waits to run, alone."""


class Buffered(Protocol):
    """What waits in the claim buffer."""

    def oldest_seconds(self) -> float:
        """Return for how many seconds the oldest delivery has waited."""

    def unstarted(self) -> int:
        """Return how many deliveries wait."""

    def busy(self) -> int:
        """Return how many threads have a delivery in hand."""

    def best_effort(self) -> tuple[int, int]:
        """Return how many best-effort deliveries wait, and how many are in hand."""


class Credit:
    """Tracks whether RabbitMQ could deliver more messages than it does.

    The consumer's thread alone writes; other threads read one number, so no lock is needed.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._spare_since = math.inf

    def update(self, messages: int) -> None:
        """Record how many more messages the consumer would take."""
        if messages <= 0:
            self._spare_since = math.inf
        elif self._spare_since == math.inf:
            self._spare_since = self._clock()

    def is_spare(self) -> bool:
        """Return whether prefetch has been unused for a moment: RabbitMQ has nothing for this worker."""
        return self._clock() - self._spare_since > _CREDIT_SECONDS


class PrefetchPolicy:
    """Decides the prefetch of the RabbitMQ consumer, and how many jobs the ready list may add."""

    def __init__(self, load: Load, buffer: Buffered, *, threads: int, has_credit: Callable[[], bool]) -> None:
        self._load = load
        self._buffer = buffer
        self._threads = threads
        self._has_credit = has_credit
        #: Written by the consumer's thread alone.
        self._is_full = False

    def prefetch(self) -> int:
        """Return how many unacked messages to hold; 0 when what waits here goes back and no more may come."""
        self._is_full = self._all_run() and (self._is_full or self.holds_too_long())
        if self._is_full:
            return 0
        usual = self._load.usual_seconds
        if usual is None:
            return self._threads
        ahead = min(self._ahead(usual), _MOST_AHEAD)
        if ahead >= self._threads:
            return self._threads + ahead
        # Jobs are slow: threads that run a job of the ready list cannot run a message's.
        return max(self._threads + ahead - sum(self._buffer.best_effort()), 1)

    def holds_too_long(self) -> bool:
        """Return whether a delivery waits here for too long while all threads are busy."""
        return self._all_run() and self._buffer.oldest_seconds() > _LONGEST_WAIT_SECONDS

    def gather_seconds(self) -> float:
        """Return for how many seconds an ack may wait for others."""
        usual = self._load.usual_seconds
        return _GATHER_SECONDS if usual is not None and usual < _QUICK_SECONDS else 0

    def free_threads(self) -> int:
        """Return how many threads are idle while RabbitMQ has nothing for them: its messages go first."""
        if self._is_closed() or not self._has_credit():
            return 0
        return self._threads - self._buffer.busy() - self._buffer.unstarted()

    def urgent_ahead(self) -> int:
        """Return how many more urgent jobs may wait here for busy threads; none while jobs are slow.

        One for each thread at most: while they wait here no other worker gets them. And none until half of those have
        started: taken one by one, each costs a statement.
        """
        usual = self._load.usual_seconds
        if usual is None or self._is_closed():
            return 0
        most = min(self._ahead(usual), self._threads)
        room = most - self._buffer.best_effort()[0]
        return room if 2 * room >= most else 0

    def _all_run(self) -> bool:
        return self._load.running() >= self._threads

    def _is_closed(self) -> bool:
        return self._is_full or self._load.is_closed()

    def _ahead(self, usual_seconds: float) -> int:
        return int(self._threads * _AHEAD_SECONDS / max(usual_seconds, 1e-6))
