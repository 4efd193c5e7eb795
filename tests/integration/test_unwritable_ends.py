"""An attempt whose end cannot be written as it is ends all the same: never is its row left `running` by a bad value."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from moneyflow.platform.database import Database
from moneyflow.platform.errors import FenceLostError, PostgresDownError
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support import effects, jobs, runtimes
from tests.support.effects import LeaveEffect
from tests.support.runtimes import RefusingConnection
from tests.support.store_worker import StoreWorker, store_worker
from workers import handlers
from workers.claims.retry import StoppingError
from workers.handlers import Cancel, Fail, RetryIn, Snooze
from workers.intake.delivery import Verdict
from workers.testing import run_jobs

Run = Callable[..., dict[str, Any]]


def _raises(error: Callable[[], BaseException]) -> Callable[..., Any]:
    def handler(context: Any, _job: object) -> None:
        effects.leave(context)
        raise error()

    return handler


class TextRaisesError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class TextExitsError(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)

    __repr__ = __str__


class TextInterruptsExit(SystemExit):
    def __repr__(self) -> str:
        raise KeyboardInterrupt

    __str__ = __repr__


class TextIsNoTextError(Exception):
    def __str__(self) -> str:
        return 7  # type: ignore[return-value] # noqa: PLE0307


class ClassRaisesError(Exception):
    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class _NamelessMeta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class _NamelessError(Exception, metaclass=_NamelessMeta):
    pass


def _cause_without_text() -> Exception:
    error = ValueError("outside")
    error.__cause__ = TextExitsError()
    return error


def _broken_syntax() -> Exception:
    error = SyntaxError("broken")
    error.lineno, error.text, error.offset = "seven", 8, []  # type: ignore[assignment]
    error.filename = "x"
    return error


_LONG = type("Long" * 1_000, (Exception,), {})

#: What a handler raises, and the class that is kept.
_ERRORS: dict[str, tuple[Callable[[], BaseException], str]] = {
    "text raises": (TextRaisesError, "TextRaisesError"),
    "text exits": (TextExitsError, "TextExitsError"),
    "text is no text": (TextIsNoTextError, "TextIsNoTextError"),
    "exit whose text raises": (TextInterruptsExit, "HandlerExitError"),
    "cause without a text": (_cause_without_text, "ValueError"),
    "class raises": (ClassRaisesError, "EndNotWrittenError"),
    "class has no name": (_NamelessError, "EndNotWrittenError"),
    "class has a long name": (lambda: _LONG("x"), "Long" * 50),
    "broken syntax error": (_broken_syntax, "SyntaxError"),
    "lost fence that is not lost": (lambda: FenceLostError("not mine"), "FenceLostError"),
    "stop of a worker that does not stop": (StoppingError, "HandlerExitError"),
    "outage that is none": (lambda: PostgresDownError("of another database"), "PostgresDownError"),
    "outage of another connection": (lambda: psycopg.OperationalError("of another database"), "OperationalError"),
    "NUL and half a pair": (lambda: ValueError("a\x00b\ud800"), "ValueError"),
    "empty group": (lambda: BaseExceptionGroup("many", [TextRaisesError()]), "ExceptionGroup"),
}

#: Endings that cannot be; each is an error of the handler that made it.
_ENDINGS: dict[str, tuple[Callable[[], Any], str]] = {
    "snooze for None": (lambda: Snooze(None), "TypeError"),  # type: ignore[arg-type]
    "retry in None": (lambda: RetryIn(None), "TypeError"),  # type: ignore[arg-type]
    "text": (lambda: RetryIn("5"), "TypeError"),  # type: ignore[arg-type]
    "true": (lambda: Snooze(True), "TypeError"),  # noqa: FBT003
    "infinite": (lambda: Snooze(float("inf")), "ValueError"),
    "NaN": (lambda: RetryIn(float("nan")), "ValueError"),
    "negative": (lambda: RetryIn(-1), "ValueError"),
    "negative timedelta": (lambda: Snooze(timedelta(seconds=-1)), "ValueError"),
    "too long": (lambda: Snooze(timedelta(days=3_000_000)), "ValueError"),
    "longest": (lambda: RetryIn(timedelta.max), "ValueError"),
    "large integer": (lambda: RetryIn(10**400), "ValueError"),
    "reason of None": (lambda: Fail(None), "TypeError"),  # type: ignore[arg-type]
    "reason of bytes": (lambda: Cancel(b"no"), "TypeError"),  # type: ignore[arg-type]
    "reason is an error": (lambda: Fail(TextRaisesError()), "TypeError"),  # type: ignore[arg-type]
}


@pytest.fixture
def worker(settings: AllSettings) -> Iterator[StoreWorker]:
    effects.create_table(settings)
    with store_worker(settings) as running:
        yield running


@pytest.fixture
def run(settings: AllSettings, database: Database, worker: StoreWorker) -> Run:
    """Run a job, which has had so many attempts, with the handler in a worker's runtime; return its row."""

    def run_one(handler: Callable[..., Any], *, attempts: int = 0) -> dict[str, Any]:
        (job_id,) = jobs.enqueue(database, LeaveEffect())
        with database.transaction() as session:
            session.execute("update jobs set attempt = %(attempts)s", {"attempts": attempts})
        running = runtimes.start(settings, database, RefusingConnection(worker), leave_effect=handler)
        assert runtimes.run(running, job_id) is Verdict.ACK
        return jobs.job(database, job_id)

    return run_one


@pytest.mark.parametrize("what", _ERRORS)
def test_an_error_of_any_kind_ends_its_attempt(what: str, run: Run, database: Database) -> None:
    error, error_class = _ERRORS[what]

    row = run(_raises(error))

    assert (row["state"], row["attempt"], row["error_class"]) == ("retrying", 1, error_class)
    assert row["error_message"]
    assert [one["outcome"] for one in jobs.attempts(database, row["id"])] == ["retried"]
    assert jobs.effects(database, [row["id"]]) == {}


@pytest.mark.parametrize("what", _ENDINGS)
def test_an_ending_that_cannot_be_is_an_error_of_the_handler_that_made_it(
    what: str, run: Run, database: Database
) -> None:
    ending, error_class = _ENDINGS[what]

    row = run(lambda *_: ending())

    assert (row["state"], row["attempt"], row["error_class"]) == ("retrying", 1, error_class)
    assert "unwritable_ends" in jobs.attempts(database, row["id"])[0]["error_traceback"], "the handler's line is shown"


#: The other errors end the test, as the head of workers/testing/runner.py says.
_RETURNED_TO_TESTS = [
    what for what in _ERRORS if "outage" not in what and issubclass(type(_ERRORS[what][0]()), Exception)
]


@pytest.mark.parametrize("what", [*_RETURNED_TO_TESTS, *_ENDINGS])
def test_a_test_that_runs_the_job_sees_the_same_end(
    what: str, settings: AllSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, error_class = (_ERRORS | _ENDINGS)[what]
    effects.create_table(settings)
    handler = _raises(error) if what in _ERRORS else lambda *_: error()
    monkeypatch.setitem(handlers.registry, "leave_effect", handler)

    with database.transaction() as session:
        job_id = enqueue(session, LeaveEffect())
        (ran,) = run_jobs(session)
        row = session.fetch_one("select error_class from jobs where id = %(id)s", {"id": job_id})

    assert ran.outcome == "retried"
    assert row is not None
    assert row["error_class"] == ("StoppingError" if error_class == "HandlerExitError" else error_class)


@pytest.mark.parametrize(("wait", "seconds"), [(timedelta(minutes=2), 120), (90, 90), (2.5, 2.5)])
@pytest.mark.parametrize(("ending", "state"), [(RetryIn, "retrying"), (Snooze, "scheduled")])
def test_a_wait_is_seconds_or_a_timedelta(
    ending: Callable[..., Any], state: str, wait: Any, seconds: float, run: Run, database: Database
) -> None:
    row = run(lambda *_: ending(wait))

    (kept,) = jobs.attempts(database, row["id"])
    assert row["state"] == state
    assert (row["due_at"] - kept["ended_at"]).total_seconds() == pytest.approx(seconds, abs=1)


def test_a_job_that_snoozes_for_no_time_comes_again_after_a_second(run: Run, database: Database) -> None:
    row = run(lambda *_: Snooze(0))

    (kept,) = jobs.attempts(database, row["id"])
    assert (row["due_at"] - kept["started_at"]).total_seconds() >= 1
    assert (row["attempt"], kept["outcome"]) == (0, "snoozed")


@pytest.mark.parametrize(("attempts", "state"), [(0, "retrying"), (2, "failed")])
def test_an_end_that_postgres_refuses_is_written_plainly_as_often_as_the_job_has_attempts(
    attempts: int, state: str, run: Run, settings: AllSettings, database: Database
) -> None:
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute("alter table job_attempts add check (error_class <> 'TextRaisesError')")

    with capture_logs() as lines:
        row = run(_raises(TextRaisesError), attempts=attempts)

    assert (row["state"], row["attempt"], row["error_class"]) == (state, attempts + 1, "EndNotWrittenError")
    assert "look for `end_not_written` in the worker's log" in row["error_message"]
    assert "end_not_written" in {line["event"] for line in lines}
    assert [one["error_class"] for one in jobs.attempts(database, row["id"])] == ["EndNotWrittenError"]
    assert jobs.effects(database, [row["id"]]) == {}


def test_a_success_that_postgres_refuses_ends_as_an_error(run: Run, settings: AllSettings, database: Database) -> None:
    with psycopg.connect(settings.conninfo("owner", application_name="test"), autocommit=True) as connection:
        connection.execute("alter table job_attempts add check (outcome <> 'succeeded')")

    row = run(effects.leave_effect)

    assert (row["state"], row["error_class"]) == ("retrying", "CheckViolation")
    assert jobs.effects(database, [row["id"]]) == {}
