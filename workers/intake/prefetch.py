"""How many messages a worker takes ahead: some while jobs are quick, none while they are slow; it hoards none."""

from collections.abc import Callable
from typing import Protocol

#: As much work lies in the window for each thread, beside the job that it runs: enough to bridge the way to RabbitMQ.
_AHEAD_SECONDS = 0.05
_MOST_AHEAD = 508
#: PERF: verdicts on quick jobs wait for so long for others: each that is sent alone wakes this side and RabbitMQ, which
#: takes as long as a small job. Those on slow ones go at once: what waits here holds a place in the window, and the
#: slower the jobs the fewer places there are.
_GATHER_SECONDS = 0.02
_QUICK_SECONDS = 0.025
#: A message that lies here for longer while all threads are busy goes back, for another worker may be idle.
_HOARDED_SECONDS = 0.5


class Threads(Protocol):
    """What the threads of this worker are at."""

    @property
    def usual_seconds(self) -> float | None:
        """Return how long a job has taken of late."""

    def running(self) -> int:
        """Return how many jobs run."""

    def busy(self) -> int:
        """Return how many threads have a delivery in hand."""

    def busy_without_message(self) -> int:
        """Return how many of them have one that came by the shortcut."""

    def is_closed(self) -> bool:
        """Say whether what is begun now has to wait, for a job that runs alone."""


class Waiting(Protocol):
    """What lies in the window."""

    def oldest_seconds(self) -> float:
        """Return for how long the oldest delivery has waited for a thread."""

    def unstarted(self) -> int:
        """Return how many deliveries wait for a thread."""

    def without_message(self) -> int:
        """Return how many of them came by the shortcut."""


class PrefetchPolicy:
    """Says how many messages may be unsettled here, and how many jobs may be taken without one."""

    def __init__(self, running: Threads, waiting: Waiting, *, threads: int, has_credit: Callable[[], bool]) -> None:
        self._running = running
        self._waiting = waiting
        self._threads = threads
        self._has_credit = has_credit
        self._is_full = False

    def wanted(self) -> int:
        """Return the size of the window: 0 when what waits here is to go back and nothing more is to come for now."""
        self._is_full = self._all_run() and (self._is_full or self.hoards())
        if self._is_full:
            return 0
        usual = self._running.usual_seconds
        if usual is None:
            return self._threads
        ahead = min(self._ahead(usual), _MOST_AHEAD)
        if ahead >= self._threads:
            return self._threads + ahead
        # Jobs are slow: those that came by the shortcut have threads that no message can get.
        without_message = self._running.busy_without_message() + self._waiting.without_message()
        return max(self._threads + ahead - without_message, 1)

    def hoards(self) -> bool:
        """Say whether something waits here for long while all threads are busy."""
        return self._all_run() and self._waiting.oldest_seconds() > _HOARDED_SECONDS

    def gather_seconds(self) -> float:
        """Return for how long the verdict on a message may wait for others."""
        usual = self._running.usual_seconds
        return _GATHER_SECONDS if usual is not None and usual < _QUICK_SECONDS else 0

    def free_threads(self) -> int:
        """Return how many threads have nothing to do and get nothing from RabbitMQ: what waits there goes first."""
        if self._is_shut() or not self._has_credit():
            return 0
        return self._threads - self._running.busy() - self._waiting.unstarted()

    def urgent_ahead(self) -> int:
        """Return how many more urgent jobs may be taken while all threads are busy: none while jobs are slow.

        One for each thread at most, for while they are here no other worker gets them; and none until half of those
        have begun: taken one by one, each costs a statement.
        """
        usual = self._running.usual_seconds
        if usual is None or self._is_shut():
            return 0
        most = min(self._ahead(usual), self._threads)
        room = most - self._waiting.without_message()
        return room if 2 * room >= most else 0

    def _all_run(self) -> bool:
        return self._running.running() >= self._threads

    def _is_shut(self) -> bool:
        return self._is_full or self._running.is_closed()

    def _ahead(self, usual_seconds: float) -> int:
        return int(self._threads * _AHEAD_SECONDS / max(usual_seconds, 1e-6))
