"""Policies of a contract: retries, uniqueness, and the breaker that pauses a kind."""

import random
from dataclasses import dataclass

from moneyflow.platform.bounds import is_count, is_wait
from moneyflow.platform.errors import UnavailableError

#: A generator of its own: a handler that seeds the shared one must not give all workers the same waits.
_JITTER = random.Random()  # nosec B311  # noqa: S311 - jitter, not a secret


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retry policy: the number of attempts, and the wait between them.

    The wait before attempt n + 1 is drawn evenly from 0 to min(cap, base * 2**(n - 1)): exponential backoff with
    full jitter (Brooker, *Exponential Backoff And Jitter*, 2015), so that jobs that failed together retry one by one.
    An error of a class in `permanent` fails the job at once; after one in `uncounted` the attempt does not count.
    """

    attempts: int = 10
    base_seconds: float = 2.0
    cap_seconds: float = 3600.0
    permanent: tuple[type[Exception], ...] = ()
    uncounted: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        seconds = (self.base_seconds, self.cap_seconds)
        if not (is_count(self.attempts) and all(map(is_wait, seconds)) and self.base_seconds <= self.cap_seconds):
            raise ValueError(
                f"a retry policy needs attempts >= 1 and 0 < base_seconds <= cap_seconds <= 100 years, not {self}"
            )

    def wait_seconds(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number `attempt`, counted from 1, has failed."""
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 60))
        return _JITTER.uniform(0, ceiling)


@dataclass(frozen=True, kw_only=True)
class Unique:
    """Uniqueness: for how long a job holds its `unique_key()`, so that a second enqueue returns the first job.

    By default until the job's row is deleted. `for_seconds`: for that many seconds after it was enqueued.
    `while_unfinished`: until the job has ended, whatever its outcome.
    """

    for_seconds: float | None = None
    while_unfinished: bool = False

    def __post_init__(self) -> None:
        if self.for_seconds is not None and not is_wait(self.for_seconds):
            raise ValueError(f"for_seconds must be above 0 and at most 100 years, not {self.for_seconds}")


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """Circuit breaker: pauses a kind after `errors` identical outages in a row in one worker process.

    An outage is an `UnavailableError`, or an error of a class in `outages`. Every other error says something about its
    own job alone: it neither counts nor ends a row, so that a bug or a refused payment holds up no other job.

    One job probes the kind after `probe_seconds`, then after twice as long, up to `longest_probe_seconds`; a probe that
    succeeds ends the pause.
    """

    errors: int = 20
    probe_seconds: float = 10.0
    longest_probe_seconds: float = 300.0
    outages: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        seconds = (self.probe_seconds, self.longest_probe_seconds)
        if not (is_count(self.errors) and all(map(is_wait, seconds)) and seconds[0] <= seconds[1]):
            raise ValueError(
                f"a breaker needs errors >= 1 and 0 < probe_seconds <= longest_probe_seconds <= 100 years, not {self}"
            )

    def is_outage(self, error: BaseException) -> bool:
        """Return whether the error means that something outside is down, for this job and for all others."""
        return isinstance(error, (UnavailableError, *self.outages))
