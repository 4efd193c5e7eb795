"""Wait for a condition with a deadline; never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Many tests wait at the same time: what they ask takes the processor from what they wait for.
_LONGEST_PAUSE_SECONDS = 0.1


def eventually(condition: Callable[[], T | None], *, seconds: float = 60, what: str = "") -> T:
    """Ask until the condition is true and return what it returned; fail with the last answer after `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds: {what or condition}; the last answer was {answer!r}")
        time.sleep(pause)
        pause = min(pause * 1.2, _LONGEST_PAUSE_SECONDS)
