"""Jobs of the fault suite: each has a token, by which what was asked for and what came of it are compared."""

import time

from moneyflow.platform.errors import PermanentError, UnavailableError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.policy import RetryPolicy
from tests.support.effects import leave
from workers.handlers import Context, Result, handles

#: Many attempts: a fault that meets an attempt counts it, and what is not meant to fail must outlast all of them.
_OUTLASTS = RetryPolicy(attempts=60, base_seconds=0.05, cap_seconds=0.5)
_GIVES_UP = RetryPolicy(attempts=3, base_seconds=0.05, cap_seconds=0.2)


class Deed(Job, kind="deed", priority=5, retry=_OUTLASTS, time_limit_seconds=20, breaker=None):
    """Leave an effect if `writes`, work for `seconds`, and leave one follow-up as long as `links` are left.

    The first `failures` attempts fail, all of them when it is `permanent`: after the effect, so that it must be undone.
    """

    token: str
    seconds: float = 0
    failures: int = 0
    permanent: bool = False
    writes: bool = True
    links: int = 0
    rank: int = 5
    key: str | None = None

    def message_priority(self) -> int:
        """Return the priority that the test gave."""
        return self.rank

    def unique_key(self) -> str | None:
        """Return the key that the test gave."""
        return self.key

    def next_link(self) -> "Deed | None":
        """Return what this one leaves in its own transaction."""
        return self.model_copy(update={"token": f"{self.token}>", "links": self.links - 1}) if self.links else None


class LimitedDeed(
    Deed, kind="limited_deed", retry=_OUTLASTS, time_limit_seconds=20, breaker=None,
    limit=Limit(name="chaos", concurrency=3),
):  # fmt: skip
    """Do the same, three at a time at most, in all workers together."""


class DoomedDeed(Job, kind="doomed_deed", priority=5, retry=_GIVES_UP, time_limit_seconds=20, breaker=None):
    """Leave an effect and fail, until the attempts are used up."""

    token: str


@handles(LimitedDeed)
@handles(Deed)
def do(context: Context, deed: Deed) -> Result:
    if deed.writes:
        leave(context)
    time.sleep(deed.seconds)
    if deed.permanent:
        raise PermanentError("this deed can never be done")
    if context.attempt <= deed.failures:
        raise UnavailableError("this deed cannot be done yet")
    following = deed.next_link()
    if following is not None:
        enqueue(context.session, following)
    return {"token": deed.token}


@handles(DoomedDeed)
def do_in_vain(context: Context, _deed: DoomedDeed) -> Result:
    leave(context)
    raise UnavailableError("this deed is in vain")
