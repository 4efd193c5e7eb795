"""An attempt starts in the state in which the process began, whatever the attempts before it have changed."""

import contextvars
import decimal
import gc
import locale
import os
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from workers.execution.reset import Baseline

_VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("leftover", default="none")


def _umask() -> int:
    mask = os.umask(0o77)
    os.umask(mask)
    return mask


def _set_time_zone() -> None:
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


def _work_elsewhere() -> None:
    os.chdir(tempfile.gettempdir())


def _variables() -> dict[str, str]:
    """Return the variables, but for the one in which pytest has the phase of its test."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def _change_variables() -> None:
    os.environ.pop("PATH")
    os.environ["LEFTOVER"] = "1"
    os.environ["HOME"] = "/leftover"


def _mutate_decimals() -> None:
    decimal.getcontext().prec = 3
    decimal.getcontext().traps[decimal.Inexact] = True


def _trace(*_: object) -> None:
    return None


#: How a handler changes something, and how it is read.
_CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "context variable": (lambda: _VARIABLE.set("left"), _VARIABLE.get),
    "decimal context": (lambda: decimal.setcontext(decimal.Context(prec=2)), lambda: decimal.Decimal(1) / 3),
    "decimal context in place": (_mutate_decimals, lambda: repr(decimal.getcontext())),
    "signal mask": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1}),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "warnings ignored": (lambda: warnings.simplefilter("ignore"), lambda: list(warnings.filters)),
    "warnings reset": (warnings.resetwarnings, lambda: list(warnings.filters)),
    "environment": (_change_variables, _variables),
    "time zone": (_set_time_zone, lambda: (time.tzname, os.environ.get("TZ"))),
    "locale": (lambda: locale.setlocale(locale.LC_NUMERIC, "C.UTF-8"), lambda: locale.setlocale(locale.LC_ALL)),
    "folder": (_work_elsewhere, Path.cwd),
    "umask": (lambda: os.umask(0), _umask),
    "recursion limit": (lambda: sys.setrecursionlimit(777), sys.getrecursionlimit),
    "switch interval": (lambda: sys.setswitchinterval(0.5), sys.getswitchinterval),
    "garbage collection": (gc.disable, gc.isenabled),
    "time-out of sockets": (lambda: socket.setdefaulttimeout(0.001), socket.getdefaulttimeout),
    "standard output": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "standard error": (lambda: setattr(sys, "stderr", None), lambda: sys.stderr),
    "trace": (lambda: sys.settrace(_trace), sys.gettrace),
    "profile": (lambda: sys.setprofile(_trace), sys.getprofile),
    "alarm": (
        lambda: signal.setitimer(signal.ITIMER_REAL, 3600),
        lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0,
    ),
}


@pytest.fixture
def baseline() -> Iterator[Baseline]:
    """Return the state of this test, without the alarm by which pytest ends a test that hangs."""
    alarm = signal.setitimer(signal.ITIMER_REAL, 0)
    yield Baseline()
    signal.setitimer(signal.ITIMER_REAL, *alarm)


@pytest.mark.parametrize("error", [None, ValueError, SystemExit])
@pytest.mark.parametrize("what", _CHANGES)
def test_what_an_attempt_changed_is_as_before_for_the_next_and_for_the_thread(
    what: str, error: type[BaseException] | None, baseline: Baseline
) -> None:
    change, read = _CHANGES[what]
    before, seen = baseline.run(read), read()

    def attempt() -> None:
        change()
        assert read() != before, "it was changed"
        if error:
            raise error

    if error:
        with pytest.raises(error):
            baseline.run(attempt)
    else:
        baseline.run(attempt)

    assert (baseline.run(read), read()) == (before, seen)


def test_a_deleted_folder_is_left(baseline: Baseline, tmp_path: Path) -> None:
    here, gone = Path.cwd(), tmp_path / "gone"
    gone.mkdir()

    def attempt() -> None:
        os.chdir(gone)
        gone.rmdir()

    baseline.run(attempt)

    assert Path.cwd() == here


def test_an_attempt_returns_what_it_returns_and_sees_the_context_of_its_thread(baseline: Baseline) -> None:
    token = _VARIABLE.set("the job")

    assert baseline.run(_VARIABLE.get) == "the job"
    _VARIABLE.reset(token)


def test_each_change_is_logged_once(baseline: Baseline) -> None:
    with capture_logs() as lines:
        for _ in range(3):
            baseline.run(lambda: os.environ.update(LEFTOVER="1"))
        baseline.run(lambda: sys.setrecursionlimit(777))

    assert [line["changed"] for line in lines] == [["environment"], ["recursion_limit"]]


def test_a_warning_that_was_silenced_is_shown_again(baseline: Baseline) -> None:
    def warn() -> None:
        warnings.warn("shown", UserWarning, stacklevel=2)

    def attempt() -> None:
        warnings.simplefilter("ignore")
        warn()

    baseline.run(attempt)

    with pytest.raises(UserWarning, match="shown"):
        warn()
