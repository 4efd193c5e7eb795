"""Outcomes: the values that a handler returns instead of a result, and what an error means for its job."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from moneyflow.platform.bounds import in_seconds
from moneyflow.platform.database import is_transient
from moneyflow.platform.errors import (
    InvalidInputError,
    JobCancelledError,
    MoneyFlowError,
    NotFoundError,
    PermanentError,
    PoisonError,
    UnreadableError,
)
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy
from moneyflow.platform.jobs.result_file import File
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import End, Outcome

#: Errors of the tree that no further attempt can mend. Every other error may be mended, an unknown one too.
PERMANENT = (PermanentError, InvalidInputError, NotFoundError, PoisonError)

_DEFAULT_BREAKER = Breaker()

#: Seconds until a job that no worker here can read is looked at again: workers that can may have been deployed.
_PARKED_SECONDS = 60.0

#: Seconds that a job waits at least after an attempt that does not count: with less it would run again without a pause.
SHORTEST_SNOOZE_SECONDS = 1.0


@dataclass(frozen=True)
class RetryIn:
    """Retry after this many seconds, or a timedelta; the attempt counts, and the last one fails the job."""

    seconds: float | timedelta
    reason: str = "the handler asked for another attempt"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def wait_seconds(self) -> float:
        """Return the wait in seconds."""
        return in_seconds(self.seconds, of="RetryIn")


@dataclass(frozen=True)
class Snooze:
    """Come again after this many seconds, or a timedelta, of at least one second; the attempt does not count."""

    seconds: float | timedelta
    reason: str = "the handler has nothing to do yet"

    def __post_init__(self) -> None:
        _check(self)

    @property
    def wait_seconds(self) -> float:
        """Return the wait in seconds, at least one."""
        return max(in_seconds(self.seconds, of="Snooze"), SHORTEST_SNOOZE_SECONDS)


@dataclass(frozen=True)
class Cancel:
    """End as `cancelled`: there is nothing to do any more."""

    reason: str = "the handler found nothing to do"

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Fail:
    """Give up: the job goes to `jobs_failed`, however many attempts it has left."""

    reason: str = "the handler gave up"

    def __post_init__(self) -> None:
        _check(self)


Ending = RetryIn | Snooze | Cancel | Fail
#: What a handler returns: nothing, a small dictionary or a file to be kept as the job's result, or another ending.
#: What the handler wrote is kept when the job succeeds, and rolled back with every other ending.
Result = dict[str, Any] | File | Ending | None


def _check(ending: Ending) -> None:
    """Refuse an ending where it is made, while its handler's line is in the traceback.

    Raises:
        TypeError: the wait is no duration, or the reason no text.
        ValueError: the wait is negative, not finite, or longer than ten years.
    """
    if not isinstance(ending.reason, str):
        raise TypeError(f"the reason of {type(ending).__name__} is a text, not a {type(ending.reason).__name__}")
    if isinstance(ending, RetryIn | Snooze):
        in_seconds(ending.seconds, of=type(ending).__name__)


class EndedByHandlerError(Exception):
    """A handler returned another ending than success; its reason is kept like an error's."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


def decide(error: BaseException, claim: Claim, policy: RetryPolicy, breaker: Breaker | None = _DEFAULT_BREAKER) -> End:
    """Return how an attempt ends that raised this error: outcome, wait, whether an outage or a bug."""
    if isinstance(error, EndedByHandlerError):
        return _chosen(error.ending, claim)
    if isinstance(error, JobCancelledError):
        return End(outcome=Outcome.CANCELLED)
    if isinstance(error, UnreadableError):
        return End(outcome=Outcome.PARKED, wait_seconds=_PARKED_SECONDS)
    if isinstance(error, (*PERMANENT, *policy.permanent)):
        return End(outcome=Outcome.FAILED)
    is_outage = breaker is not None and breaker.is_outage(error)
    is_expected = is_outage or is_transient(error) or isinstance(error, (MoneyFlowError, *policy.uncounted))
    after = _after_error(error, claim, policy, is_outage=is_outage)
    return End(**after, counts_for_breaker=is_outage, is_bug=not is_expected)


def _after_error(error: BaseException, claim: Claim, policy: RetryPolicy, *, is_outage: bool) -> dict[str, Any]:
    if (claim.is_probe and is_outage) or isinstance(error, policy.uncounted):
        shortest = 0 if claim.is_probe else SHORTEST_SNOOZE_SECONDS  # The breaker has a wait of its own.
        return {"outcome": Outcome.SNOOZED, "wait_seconds": max(policy.wait_seconds(claim.fence), shortest)}
    if claim.attempt >= claim.max_attempts:
        return {"outcome": Outcome.FAILED}
    return {"outcome": Outcome.RETRIED, "wait_seconds": policy.wait_seconds(claim.attempt)}


def _chosen(ending: Ending, claim: Claim) -> End:
    match ending:
        case RetryIn() if claim.attempt < claim.max_attempts:
            return End(outcome=Outcome.RETRIED, wait_seconds=ending.wait_seconds)
        case Snooze():
            return End(outcome=Outcome.SNOOZED, wait_seconds=ending.wait_seconds)
        case Cancel():
            return End(outcome=Outcome.CANCELLED)
    return End(outcome=Outcome.FAILED)
