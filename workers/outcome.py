"""How a try may end: the values that a handler returns, and what an error means for its job."""

from dataclasses import dataclass
from typing import Any

from moneyflow.platform.errors import (
    InvalidInputError,
    JobCancelledError,
    NotFoundError,
    PermanentError,
    PoisonError,
    UnknownVersionError,
)
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.files import File

#: Errors of the tree that no further try can mend. All else may be mended, an unknown error too.
PERMANENT = (PermanentError, InvalidInputError, NotFoundError, PoisonError)

#: How soon a job that nobody here can read is looked at again: workers that can may have been deployed.
_PARKED_SECONDS = 60.0


@dataclass(frozen=True)
class RetryIn:
    """Try again after so many seconds; this try counts, and the last one that counts fails the job."""

    seconds: float
    reason: str = "the handler asked for another try"


@dataclass(frozen=True)
class Snooze:
    """Come again after so many seconds; this try does not count, however often."""

    seconds: float
    reason: str = "the handler has nothing to do yet"


@dataclass(frozen=True)
class Cancel:
    """End as `cancelled`: there is nothing to do any more."""

    reason: str = "the handler found nothing to do"


@dataclass(frozen=True)
class Fail:
    """Give up: the job goes to `jobs_failed`, however many tries it has left."""

    reason: str = "the handler gave up"


@dataclass(frozen=True)
class Park:
    """Wait for workers that can read the job, looking again after so many seconds."""

    seconds: float = _PARKED_SECONDS


Ending = RetryIn | Snooze | Cancel | Fail
#: What a handler returns: nothing, a small dictionary or a file to be kept as the job's result, or another ending.
#: What the handler wrote is kept when the job succeeds, and dropped with every other ending.
Result = dict[str, Any] | File | Ending | None


class EndedByHandlerError(Exception):
    """A handler returned another ending than success; its reason is told like an error's."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.reason)
        self.ending = ending


def decide(error: BaseException, claim: Claim, policy: RetryPolicy) -> Ending | Park:
    """Say what follows from an error in this try, or from an ending that the handler chose."""
    if isinstance(error, JobCancelledError):
        return Cancel()
    if isinstance(error, UnknownVersionError):
        return Park()
    if isinstance(error, EndedByHandlerError):
        last = isinstance(error.ending, RetryIn) and claim.attempt >= claim.max_attempts
        return Fail() if last else error.ending
    if isinstance(error, (*PERMANENT, *policy.permanent)):
        return Fail()
    if claim.is_probe or isinstance(error, policy.uncounted):
        return Snooze(policy.wait_seconds(claim.fence))
    return Fail() if claim.attempt >= claim.max_attempts else RetryIn(policy.wait_seconds(claim.attempt))
