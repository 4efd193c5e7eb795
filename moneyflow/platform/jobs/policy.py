"""What a contract says beside its payload: how a job is tried, how long its key is taken, when its kind pauses."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a job is tried, and how long it waits in between.

    The wait before try n + 1 is drawn evenly from 0 to min(cap, base * 2**(n - 1)): exponential back-off with
    full jitter (Brooker, *Exponential Backoff And Jitter*, 2015), so that what failed together returns one by one.
    An error of a class in `permanent` fails the job at once; one in `uncounted` is waited out and burns no attempt.
    """

    attempts: int = 10
    base_seconds: float = 2.0
    cap_seconds: float = 3600.0
    permanent: tuple[type[Exception], ...] = ()
    uncounted: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.base_seconds <= 0 or self.cap_seconds < self.base_seconds:
            raise ValueError(f"a retry policy needs attempts >= 1 and 0 < base_seconds <= cap_seconds, not {self}")

    def wait_seconds(self, attempt: int) -> float:
        """Return the seconds to wait after try number `attempt` (the first is 1) has failed."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 60))
        return random.uniform(0, ceiling)  # noqa: S311 - jitter, not a secret


@dataclass(frozen=True, kw_only=True)
class Unique:
    """For how long a job's `unique_key()` is taken, so that a second enqueue returns the first job.

    As it is: for as long as the job is known. `for_seconds`: so long after it was enqueued. `while_unfinished`: until
    it has ended, in whatever way.
    """

    for_seconds: float | None = None
    while_unfinished: bool = False

    def __post_init__(self) -> None:
        if self.for_seconds is not None and self.for_seconds <= 0:
            raise ValueError(f"for_seconds must be above 0, not {self.for_seconds}")


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """When a kind pauses itself: after so many identical errors in a row in one worker process.

    One job is tried again after `probe_seconds`, then after twice as long, up to `longest_probe_seconds`; the first
    that succeeds ends the pause.
    """

    errors: int = 20
    probe_seconds: float = 10.0
    longest_probe_seconds: float = 300.0

    def __post_init__(self) -> None:
        if self.errors < 1 or self.probe_seconds <= 0 or self.longest_probe_seconds < self.probe_seconds:
            raise ValueError(f"a breaker needs errors >= 1 and 0 < probe_seconds <= longest_probe_seconds, not {self}")
