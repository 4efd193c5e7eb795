"""Wait for a condition with a deadline; never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, seconds: float = 20, what: str = "") -> T:
    """Ask until the condition is true and return what it returned; fail with the last answer after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} seconds: {what or condition}; the last answer was {answer!r}")
        time.sleep(0.02)
