"""Jobs of the tests, one for each feature: limited, rated, failing alike, cancelled, versioned, ending as asked."""

import time
from pathlib import Path
from typing import Any, Literal

import psycopg

from moneyflow.platform.errors import ConflictError, PermanentError, UnavailableError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.limits import Limit, Rate
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy, Unique
from moneyflow.settings import AllSettings
from workers.handlers import Cancel, Context, Fail, Result, RetryIn, Snooze, handles


class SilentError(Exception):
    """An error that one contract calls an outage."""


class DeclinedError(UnavailableError):
    """An outage by its class that one contract calls permanent."""


_QUICK = RetryPolicy(attempts=3, base_seconds=0.05, cap_seconds=0.2)
_PLACES = Limit(name="test_places", concurrency=3, concurrency_per_key=1)
_REACHES = Limit(name="test_reaches", concurrency=2)
#: Its first probe is due when a test says so.
_SLOW_TO_PROBE = Breaker(errors=5, probe_seconds=3600, longest_probe_seconds=7200, outages=(SilentError,))
_RATE = Limit(name="test_rate", rate=Rate(limit=5, per_seconds=1.0))


class Placed(Job, kind="placed", retry=_QUICK, time_limit_seconds=30, limit=_PLACES, breaker=None):
    """Take a while, one at a time for each key and three in all, and leave when it began and ended."""

    key: str = ""
    seconds: float = 0.05
    failures: int = 0

    def limit_key(self) -> str:
        """Return the key that the test gave."""
        return self.key


class Rated(Job, kind="rated", retry=_QUICK, time_limit_seconds=30, limit=_RATE):
    """Leave when it began, five a second at most."""


class Flaky(
    Job,
    kind="flaky",
    retry=RetryPolicy(attempts=20, base_seconds=0.02, cap_seconds=0.1),
    breaker=Breaker(errors=3, probe_seconds=0.2, longest_probe_seconds=1),
):
    """Fail for as long as a file is there."""

    down: str


class Reach(
    Job,
    kind="reach",
    priority=5,
    retry=RetryPolicy(attempts=3, base_seconds=0.02, cap_seconds=0.1, permanent=(DeclinedError,)),
    breaker=_SLOW_TO_PROBE,
):
    """Reach something outside; fail by its own fault, or as long as a file is there by an outage."""

    fault: Literal["none", "outage", "named_outage", "bug", "permanent", "declined"] = "none"
    down: str = ""
    is_urgent: bool = False

    def message_priority(self) -> int:
        """Return the job's own priority."""
        return 9 if self.is_urgent else 5


class LimitedReach(Reach, kind="limited_reach", retry=_QUICK, limit=_REACHES, breaker=_SLOW_TO_PROBE):
    """The same under a limit, which another kind shares."""


class Neighbour(Job, kind="neighbour", retry=_QUICK, limit=_REACHES):
    """Share the limit, and reach nothing."""


class Patient(Job, kind="patient", retry=_QUICK, time_limit_seconds=60):
    """Count, and report it, for as long as a file is there; then leave an effect."""

    held_by: str


class EndAs(Job, kind="end_as", retry=_QUICK, time_limit_seconds=30, breaker=None):
    """Leave an effect, and end as asked all the same, until the given attempt."""

    how: Literal["retry", "snooze", "cancel", "fail", "large"]
    until_fence: int = 99


class Versioned(
    Job,
    kind="versioned",
    version=3,
    upgrades={
        1: lambda payload: {"amount_minor": payload["amount"] * 100},
        2: lambda payload: {**payload, "currency": "EUR"},
    },
):
    """Return what it was given, in the words of today."""

    amount_minor: int
    currency: str


class OncePerHour(Job, kind="once_per_hour", unique=Unique(for_seconds=3600)):
    """Be there once in an hour for each name."""

    name: str

    def unique_key(self) -> str | None:
        """Return the name."""
        return f"once_per_hour:{self.name}"


class OneAtATime(Job, kind="one_at_a_time", unique=Unique(while_unfinished=True), retry=_QUICK):
    """Be there once until it has ended."""

    name: str
    fails: bool = False

    def unique_key(self) -> str | None:
        """Return the name."""
        return f"one_at_a_time:{self.name}"


class RefusedError(Exception):
    """An error that one contract calls permanent, or waits out."""


class Declared(
    Job,
    kind="declared",
    retry=RetryPolicy(
        attempts=2, base_seconds=0.02, cap_seconds=0.05, permanent=(RefusedError,), uncounted=(ConflictError,)
    ),
    breaker=None,
):
    """Raise what its contract says something about."""

    refused: bool


def create_table(settings: AllSettings) -> None:
    """Make the table of when jobs ran."""
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute(
            "create table spans (job_id uuid not null, key text not null, began timestamptz not null, "
            "ended timestamptz not null default clock_timestamp())"
        )
        connection.execute("grant insert, select on spans to app, worker, operator")


@handles(Placed)
def placed(context: Context, job: Placed) -> Result:
    began = time.time()
    time.sleep(job.seconds)
    if context.attempt <= job.failures:
        raise UnavailableError("not yet")
    _span(context, job.key, began)
    return None


@handles(Rated)
def rated(context: Context, _job: Rated) -> Result:
    _span(context, "", time.time())
    return None


@handles(Flaky)
def flaky(_context: Context, job: Flaky) -> Result:
    if Path(job.down).exists():
        raise UnavailableError(f"the provider is down, request {time.time_ns()}")
    return {"done": True}


_FAULTS: dict[str, Exception] = {
    "outage": UnavailableError("the provider is down"),
    "named_outage": SilentError("the provider does not answer"),
    "bug": KeyError("template"),
    "permanent": PermanentError("such a card can never be charged"),
    "declined": DeclinedError("the card was declined"),
}


def _reach(job: Reach) -> Result:
    if job.fault in _FAULTS and (not job.down or Path(job.down).exists()):
        raise _FAULTS[job.fault]
    return {"reached": True}


@handles(Reach)
def reach(_context: Context, job: Reach) -> Result:
    return _reach(job)


@handles(LimitedReach)
def limited_reach(_context: Context, job: LimitedReach) -> Result:
    return _reach(job)


@handles(Neighbour)
def neighbour(_context: Context, _job: Neighbour) -> Result:
    return None


@handles(Patient)
def patient(context: Context, job: Patient) -> Result:
    context.session.execute(
        "insert into effects values (%(id)s, %(attempt)s)", {"id": context.job_id, "attempt": context.attempt}
    )
    rounds = 0
    while Path(job.held_by).exists():
        rounds += 1
        context.progress(rounds, 1000, note="counting")
        time.sleep(0.01)
    return {"rounds": rounds}


@handles(EndAs)
def end_as(context: Context, job: EndAs) -> Result:
    fence = context.session.fetch_one("select fence from jobs where id = %(id)s", {"id": context.job_id})
    context.session.execute(
        "insert into effects values (%(id)s, %(attempt)s)", {"id": context.job_id, "attempt": context.attempt}
    )
    assert fence is not None
    if fence["fence"] > job.until_fence:
        return {"ended": "well"}
    endings: dict[str, Any] = {
        "retry": RetryIn(0.05, "once more"),
        "snooze": Snooze(0.05, "not yet"),
        "cancel": Cancel("nothing to do"),
        "fail": Fail("hopeless"),
        "large": {"text": "x" * 70_000},
    }
    return endings[job.how]  # type: ignore[no-any-return]


@handles(Versioned)
def versioned(_context: Context, job: Versioned) -> Result:
    return job.model_dump()


@handles(OncePerHour)
def once_per_hour(_context: Context, job: OncePerHour) -> Result:
    return job.model_dump()


@handles(OneAtATime)
def one_at_a_time(_context: Context, job: OneAtATime) -> Result:
    return Fail("as asked") if job.fails else job.model_dump()


@handles(Declared)
def declared(context: Context, job: Declared) -> Result:
    if job.refused:
        raise RefusedError("never")
    row = context.session.fetch_one("select fence from jobs where id = %(id)s", {"id": context.job_id})
    assert row is not None
    if row["fence"] < 5:
        raise ConflictError("wait")
    return {"fence": row["fence"]}


def _span(context: Context, key: str, began: float) -> None:
    context.session.execute(
        "insert into spans (job_id, key, began) values (%(id)s, %(key)s, to_timestamp(%(began)s))",
        {"id": context.job_id, "key": key, "began": began},
    )
