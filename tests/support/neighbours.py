"""Jobs that misbehave in every known way, and jobs next to them that do their work."""

import decimal
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from moneyflow.platform.errors import FenceLostError, PermanentError, UnavailableError
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import RetryPolicy
from workers.handlers import Context, Fail, Result, RetryIn, Snooze, handles

#: One attempt: what is measured is the neighbours' wait, not when a second attempt is due.
_ONCE = RetryPolicy(attempts=1)


class GoodNeighbour(Job, kind="good_neighbour", retry=_ONCE, time_limit_seconds=60, breaker=None):
    """Work for five milliseconds, and check that the attempt started clean."""


class BadNeighbour(Job, kind="bad_neighbour", retry=_ONCE, time_limit_seconds=60, breaker=None):
    """Work for `seconds`, then misbehave; or only sleep, when `how` is `sleep`."""

    how: str
    seconds: float = 0.02


class TextRaisesError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class TextExitsError(Exception):
    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


async def _coroutine() -> dict[str, Any]:
    return {}


def _raise(error: BaseException) -> Any:
    raise error


def _leave_on_the_session(context: Context) -> None:
    for statement in (
        "set timezone = 'Asia/Tokyo'",
        "set statement_timeout = '9s'",
        "select pg_advisory_lock(7)",
        "create temporary table leftover (id integer)",
        "listen leftover",
    ):
        context.session.execute(statement)


def _leave_on_the_thread(_: Context) -> None:
    decimal.getcontext().prec = 2
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    warnings.simplefilter("ignore")
    os.environ["LEFTOVER"] = "1"
    random.seed(7)


@dataclass(frozen=True)
class Misbehaviour:
    """What a handler does, and how its job ends: the state and the class of the error, if any."""

    act: Callable[[Context], Any]
    state: str = "failed"
    error_class: str | None = None


MISBEHAVIOURS = {
    "bug": Misbehaviour(lambda _: os.environ["NO SUCH NAME"], error_class="KeyError"),
    "permanent error": Misbehaviour(lambda _: _raise(PermanentError("declined")), error_class="PermanentError"),
    "outage": Misbehaviour(lambda _: _raise(UnavailableError("down")), error_class="UnavailableError"),
    "large error": Misbehaviour(lambda _: _raise(ValueError("a" * 150_000)), error_class="ValueError"),
    "error without a text": Misbehaviour(lambda _: _raise(TextRaisesError()), error_class="TextRaisesError"),
    "error whose text exits": Misbehaviour(lambda _: _raise(TextExitsError()), error_class="TextExitsError"),
    "error with a NUL": Misbehaviour(lambda _: _raise(ValueError("a\x00\ud800")), error_class="ValueError"),
    "lost fence that is not lost": Misbehaviour(lambda _: _raise(FenceLostError("x")), error_class="FenceLostError"),
    "exit": Misbehaviour(lambda _: sys.exit(3), error_class="HandlerExitError"),
    "interrupt": Misbehaviour(lambda _: _raise(KeyboardInterrupt()), error_class="HandlerExitError"),
    "coroutine": Misbehaviour(lambda _: _coroutine(), error_class="InvalidResultError"),
    "generator": Misbehaviour(lambda _: (number for number in range(3)), error_class="InvalidResultError"),
    "class of an ending": Misbehaviour(lambda _: Fail, error_class="InvalidResultError"),
    "list": Misbehaviour(lambda _: [1], error_class="InvalidResultError"),
    "NaN": Misbehaviour(lambda _: {"rate": float("nan")}, error_class="InvalidResultError"),
    "large result": Misbehaviour(lambda _: {"text": "x" * 1_000_000}, error_class="InvalidResultError"),
    "no wait": Misbehaviour(lambda _: RetryIn(None), error_class="TypeError"),  # type: ignore[arg-type]
    "infinite wait": Misbehaviour(lambda _: Snooze(float("inf")), error_class="ValueError"),
    "negative wait": Misbehaviour(lambda _: RetryIn(timedelta(days=-1)), error_class="ValueError"),
    "long wait": Misbehaviour(lambda _: Snooze(timedelta(days=3_000_000)), error_class="ValueError"),
    "snooze for no time": Misbehaviour(lambda _: Snooze(0), state="scheduled", error_class="Snooze"),
    "last retry": Misbehaviour(lambda _: RetryIn(timedelta(0)), error_class="RetryIn"),
    "closed connection": Misbehaviour(
        lambda context: context.session.execute("select pg_terminate_backend(pg_backend_pid())"),
        error_class="AdminShutdown",
    ),
    "failed transaction": Misbehaviour(lambda context: context.session.execute("selekt 1"), error_class="SyntaxError"),
    "state of the session": Misbehaviour(_leave_on_the_session, state="succeeded"),
    "state of the thread": Misbehaviour(_leave_on_the_thread, state="succeeded"),
}

_CLEAN = {"zone": "UTC", "timeout": "30s", "locks": 0, "temporary": 0, "channels": 0}
_STATE = """
select current_setting('timezone') as zone, current_setting('statement_timeout') as timeout,
       (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
       (select count(*) from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
       (select count(*) from pg_listening_channels()) as channels
"""


@handles(GoodNeighbour)
def good_neighbour(context: Context, _job: GoodNeighbour) -> Result:
    found = context.session.fetch_one(_STATE)
    time.sleep(0.005)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if found != _CLEAN or decimal.getcontext().prec != 28 or mask:
        return Fail(f"the attempt did not start clean: {found}, {decimal.getcontext().prec} digits, {mask}")
    return None


@handles(BadNeighbour)
def bad_neighbour(context: Context, job: BadNeighbour) -> Result:
    time.sleep(job.seconds)
    if job.how == "sleep":
        return None
    return MISBEHAVIOURS[job.how].act(context)  # type: ignore[no-any-return]
