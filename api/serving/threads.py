"""The threads that answer requests.

PERF: an executor of the standard library makes a future with a lock of its own for each request, and wakes the loop by
a callback on it; that takes as long as all that the API itself does for a small request.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Threads(Generic[T]):
    """A fixed number of threads, which call `work` with each item that is put, in order."""

    def __init__(self, number: int, work: Callable[[T], None]) -> None:
        self._work = work
        self._items: SimpleQueue[T | None] = SimpleQueue()
        self._threads = [
            # A process that ends waits for none of them: gunicorn has waited for the answers before.
            threading.Thread(target=self._run, name=f"request-{n}", daemon=True)
            for n in range(1, number + 1)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, item: T) -> None:
        """Have a thread work on the item."""
        self._items.put(item)

    def shutdown(self, *, wait: bool = False) -> None:
        """Start no more items, once those that are put have been; `wait` for the threads."""
        for _ in self._threads:
            self._items.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _run(self) -> None:
        while (item := self._items.get()) is not None:
            try:
                self._work(item)
            except Exception:
                log.exception("unexpected_error", consequence="this connection is not answered; the thread goes on")
