"""Isolation lock: ordinary jobs share it; a quarantined job, which killed a process before, holds it alone.

When that process dies again, it is known which job it ran, and no other job loses an attempt.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class IsolationLock:
    """A shared-exclusive lock: `with lock:` shares it, `lock.alone()` excludes; waiting to exclude goes first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shared = 0
        self._is_alone = False
        self._want_alone = 0

    def __enter__(self) -> None:
        """Share the lock."""
        with self._changed:
            while self._is_alone or self._want_alone:
                self._changed.wait()
            self._shared += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._shared -= 1
            if self._want_alone:
                self._changed.notify_all()

    def is_closed(self) -> bool:
        """Return whether newcomers have to wait; two reads without the lock, good enough for a policy."""
        return self._is_alone or bool(self._want_alone)

    @contextmanager
    def alone(self, *, wait_seconds: float) -> Iterator[bool]:
        """Hold the lock alone; yields False when others did not leave within `wait_seconds`, and excludes none then."""
        with self._changed:
            self._want_alone += 1
            try:
                free = self._changed.wait_for(lambda: not self._is_alone and not self._shared, wait_seconds)
            finally:
                self._want_alone -= 1
                self._changed.notify_all()
            self._is_alone = self._is_alone or free
        if not free:
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._is_alone = False
                self._changed.notify_all()
