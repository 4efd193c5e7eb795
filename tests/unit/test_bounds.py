"""What Postgres would store and Python could not read again is refused where it enters, by its name."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from moneyflow.platform import bounds, clock, loaders
from moneyflow.platform.errors import InvalidInputError, PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.limits import Limit, Rate
from moneyflow.platform.jobs.policy import Breaker, RetryPolicy, Unique
from moneyflow.platform.jobs.schedules import Schedule
from moneyflow.platform.json_text import dumps
from moneyflow.settings import load_all
from ops.cli import times
from tests.support.effects import LeaveEffect
from workers.progress import Progress

_NUMBERS = (math.nan, math.inf, -math.inf, -1, 0, 1e12, 10**30)


def _declared(**options: object) -> type[Job]:
    class Bounded(Job, kind="bounded", **options):
        pass

    return Bounded


@pytest.mark.parametrize("number", _NUMBERS, ids=str)
@pytest.mark.parametrize(
    ("name", "declare"),
    [
        ("time_limit_seconds", lambda number: _declared(time_limit_seconds=number)),
        ("version", lambda number: _declared(version=number)),
        ("attempts", lambda number: RetryPolicy(attempts=number)),
        ("base_seconds", lambda number: RetryPolicy(base_seconds=number, cap_seconds=3600)),
        ("cap_seconds", lambda number: RetryPolicy(base_seconds=0.1, cap_seconds=number)),
        ("for_seconds", lambda number: Unique(for_seconds=number)),
        ("errors", lambda number: Breaker(errors=number)),
        ("probe_seconds", lambda number: Breaker(probe_seconds=number)),
        ("longest_probe_seconds", lambda number: Breaker(longest_probe_seconds=number)),
        ("limit", lambda number: Rate(limit=number, per_seconds=1)),
        ("per_seconds", lambda number: Rate(limit=1, per_seconds=number)),
        ("concurrency", lambda number: Limit(name="x", concurrency=number)),
        ("concurrency_per_key", lambda number: Limit(name="x", concurrency_per_key=number)),
        (
            "on_time_seconds",
            lambda number: Schedule(name="x", cron="* * * * *", job=LeaveEffect(), on_time_seconds=number),
        ),
    ],
)  # fmt: skip
def test_a_declaration_with_a_number_that_cannot_be_stored_is_refused(
    name: str, declare: Callable[[float], object], number: float
) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        declare(number)


@pytest.mark.parametrize("option", ["KAFKA_LOG_RETENTION_HOURS", "JOBS_KEPT_DAYS", "JOBS_DISCARDED_KEPT_DAYS"])
def test_a_setting_that_no_clock_can_add_is_refused(option: str) -> None:
    with pytest.raises(Exception, match=option):
        load_all({option: "999999999"})


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
        datetime(1969, 12, 31, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_time_at_the_ends_of_pythons_years_is_refused_by_its_name(moment: datetime) -> None:
    text = moment.isoformat()

    with pytest.raises(InvalidInputError, match=r"^at: "):
        bounds.check_due(moment)
    for read in (times.moment, times.moment_or_ago):
        with pytest.raises(InvalidInputError, match=r"^--since: "):
            read(text, option="--since")
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "x.y", "subject": "1", "time": text, "data": {}}
    with pytest.raises(PoisonError):
        envelope.read(orjson.dumps(event))


@pytest.mark.parametrize("text", ["3000000d", "999999999999999d", "9" * 30 + "s"])
def test_a_span_of_more_than_a_hundred_years_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(InvalidInputError, match=r"^--delay: "):
        times.span(text, option="--delay")
    with pytest.raises(InvalidInputError, match="--since"):
        times.moment_or_ago(text, option="--since")


@pytest.mark.parametrize("text", ["0.000000001/h", "1/s" * 9, "9" * 39, "0/s"])
def test_a_rate_that_would_spread_items_over_centuries_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--rate"):
        times.rate_per_second(text, option="--rate")


def test_what_is_due_within_a_hundred_years_is_taken() -> None:
    bounds.check_delay(timedelta(days=36_525))
    bounds.check_delay(timedelta(seconds=-1))
    bounds.check_due(clock.now() + timedelta(days=36_500))
    assert times.span("36525d", option="--x") == timedelta(days=36_525)
    assert times.rate_per_second("1/h", option="--x") == 1 / 3600


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e300, 2**60], ids=str)
@pytest.mark.parametrize("name", ["done", "total"])
def test_progress_that_json_cannot_hold_is_refused_by_its_name(name: str, number: float) -> None:
    progress = Progress(lambda _: False)

    with pytest.raises(ValueError, match=f"progress: {name}"):
        progress(**{"done": 1, "total": 1, "note": None, name: number})  # type: ignore[arg-type]


def test_a_note_of_progress_is_stored_whatever_is_in_it() -> None:
    reports: list[object] = []

    def report(progress: object) -> bool:
        reports.append(progress)
        return False

    Progress(report)(1, 2, "a\x00b\ud800" + "c" * 5_000)

    assert reports == [{"done": 1, "total": 2, "note": "a�b?" + "c" * 996}]


def test_json_that_python_reads_with_difficulty_is_read() -> None:
    assert loaders.loads('{"a": ' + "9" * 5_000 + ', "b": 7}') == {"a": "9" * 5_000, "b": 7}
    assert loaders.loads("[" * 100_000 + "]" * 100_000) == {"unreadable": "it is nested too deeply to be read"}
    assert loaders.loads('{"a": 18446744073709551616}') == {"a": 2**64}
    assert "unreadable" in loaders.loads('{"a": ' + "9" * 5_000 + ', "b": ' + "[" * 9_000 + "]" * 9_000 + "}")


def test_json_is_written_whatever_was_stored() -> None:
    deep: object = 1
    for _ in range(400):
        deep = {"a": [deep]}

    assert orjson.loads(dumps({"a": 2**70, "b": [-(2**70), 1, True], "c": "x\ud800"})) == {
        "a": str(2**70), "b": [str(-(2**70)), 1, True], "c": "x?",
    }  # fmt: skip
    assert "nested too deeply" in dumps(deep).decode()
    with pytest.raises(TypeError):
        dumps({"a": object()})
