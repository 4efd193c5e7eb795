"""A handler returns a dictionary, a file, an ending or nothing; anything else fails the job, and the error says why."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support import effects, jobs, runtimes
from tests.support.effects import LeaveEffect
from tests.support.runtimes import RefusingConnection
from tests.support.store_worker import store_worker
from tests.support.waiting import eventually
from workers import handlers
from workers.handlers import Fail, File, RetryIn
from workers.testing import run_jobs

Handler = Callable[..., Any]


async def _coroutine() -> dict[str, Any]:
    return {"never": "run"}


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


@contextlib.contextmanager
def _manager() -> Iterator[None]:
    yield


#: What a handler returns, and a part of the error.
_REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "coroutine": (_coroutine, "returned a coroutine, so it never ran"),
    "generator": (_generator, "returned a generator, so it never ran"),
    "async generator": (_async_generator, "returned a generator, so it never ran"),
    "context manager": (_manager, "a value of type _GeneratorContextManager"),
    "class of an ending": (lambda: Fail, "returned the class Fail: return a value, as in"),
    "class of a file": (lambda: File, "returned the class File"),
    "error": (lambda: ValueError("no"), "returned the error ValueError: raise it"),
    "list": (lambda: [1], "a value of type list: return a dictionary, a File, an ending or None"),
    "text": (lambda: "done", "a value of type str"),
    "true": (lambda: True, "a value of type bool"),
    "false": (lambda: False, "a value of type bool"),
    "NaN": (lambda: {"rate": float("nan")}, "result.rate is NaN"),
    "key": (lambda: {1: "one"}, "a key of type int"),
    "set": (lambda: {"ids": {1}}, "result.ids is of type set"),
    "NUL": (lambda: {"text": "a\x00"}, "result.text has a NUL"),
    "large": (lambda: {"text": "x" * 70_000}, "more than 65536 bytes"),
    "file with a number as its name": (lambda: File(name=1, content=b""), "the file's name is of type int"),  # type: ignore[arg-type]
    "file of text": (lambda: File(name="a", content="b"), "the file's content is of type str: give bytes"),  # type: ignore[arg-type]
}


@pytest.fixture
def run(settings: AllSettings, database: Database) -> Iterator[Callable[[Handler], dict[str, Any]]]:
    """Run a job with the handler in a worker's runtime, and return its row."""
    effects.create_table(settings)
    with store_worker(settings) as worker:

        def run_one(handler: Handler) -> dict[str, Any]:
            (job_id,) = jobs.enqueue(database, LeaveEffect())
            running = runtimes.start(settings, database, RefusingConnection(worker), leave_effect=handler)
            runtimes.run(running, job_id)
            eventually(lambda: jobs.job(database, job_id)["state"] != "running", what="its end is written")
            return jobs.job(database, job_id)

        yield run_one


@pytest.mark.parametrize("what", _REFUSED)
@pytest.mark.parametrize("writes", [True, False])
def test_a_worker_fails_a_job_whose_handler_returns_no_result_and_keeps_nothing_that_it_wrote(
    what: str, writes: bool, run: Callable[[Handler], dict[str, Any]], database: Database
) -> None:
    returned, why = _REFUSED[what]

    def handler(context: Any, _job: object) -> Any:
        if writes:
            effects.leave(context)
        return returned()

    row = run(handler)

    assert (row["state"], row["attempt"], row["result"]) == ("failed", 1, None)
    assert why in row["error_message"]
    assert row["error_class"] in {"InvalidResultError", "PermanentError"}
    assert jobs.effects(database, [row["id"]]) == {}


@pytest.mark.parametrize("what", _REFUSED)
def test_a_test_that_runs_the_job_sees_the_same_error(
    what: str, settings: AllSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    returned, why = _REFUSED[what]
    monkeypatch.setitem(handlers.registry, "leave_effect", lambda _context, _job: returned())

    with database.transaction() as session:
        enqueue(session, LeaveEffect())
        (ran,) = run_jobs(session)

    assert (ran.outcome, ran.result) == ("failed", None)
    assert why in str(ran.error)


@pytest.mark.parametrize(
    ("returned", "result"),
    [
        (None, None),
        ({}, {}),
        ({"total": Decimal("1.20"), "by": ("a", None)}, {"total": "1.20", "by": ["a", None]}),
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_nothing_or_a_dictionary_is_a_success_and_is_kept_as_it_was_returned(
    returned: Any, result: Any, writes: bool, run: Callable[[Handler], dict[str, Any]]
) -> None:
    def handler(context: Any, _job: object) -> Any:
        if writes:
            effects.leave(context)
        return returned

    row = run(handler)

    assert (row["state"], row["result"]) == ("succeeded", result)


@pytest.mark.parametrize(("ending", "state"), [(Fail("no"), "failed"), (RetryIn(60), "retrying")])
def test_an_ending_ends_the_attempt_as_it_says(
    ending: Any, state: str, run: Callable[[Handler], dict[str, Any]]
) -> None:
    assert run(lambda *_: ending)["state"] == state


@pytest.mark.parametrize(
    "progress", [(float("nan"), None), (1, float("inf")), (2**64, None), ("half", None), (Decimal(1), None)]
)
def test_progress_that_json_has_not_is_an_error_of_the_attempt(
    progress: tuple[Any, Any], run: Callable[[Handler], dict[str, Any]]
) -> None:
    row = run(lambda context, _: context.progress(*progress))

    assert (row["state"], row["error_class"], row["progress"]) == ("retrying", "ValueError", None)


def test_a_note_of_any_length_and_any_letters_is_kept_cut(run: Callable[[Handler], dict[str, Any]]) -> None:
    row = run(lambda context, _: context.progress(1, 2, "a\x00\ud800" + "x" * 100_000))

    assert row["progress"]["note"].startswith("a\N{REPLACEMENT CHARACTER}?xxx")
    assert len(row["progress"]["note"]) == 1_000
