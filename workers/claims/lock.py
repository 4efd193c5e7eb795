"""Ordinary jobs run side by side; a suspect, with which a process died before, runs alone in its process.

Then, when the process dies once more, it is known which job was at it, and no neighbour loses an attempt.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Many may pass together (`with gate:`), or one alone; who waits to be alone goes before newcomers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False
        self._want_alone = 0

    def __enter__(self) -> None:
        """Pass beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._want_alone)
            self._together += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._together -= 1
            if self._want_alone:
                self._changed.notify_all()

    def is_closed(self) -> bool:
        """Say whether newcomers have to wait."""
        return self._alone or bool(self._want_alone)

    @contextmanager
    def alone(self, *, wait_seconds: float) -> Iterator[bool]:
        """Pass when nobody else is inside; False when that was not so in time, and then nobody is kept outside."""
        with self._changed:
            self._want_alone += 1
            try:
                free = self._changed.wait_for(lambda: not self._alone and not self._together, wait_seconds)
            finally:
                self._want_alone -= 1
                self._changed.notify_all()
            self._alone = self._alone or free
        if not free:
            yield False
            return
        try:
            yield True
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
