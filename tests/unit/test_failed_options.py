"""The options of `moneyflow failed`: how their values are read, and the errors for values that cannot be read."""

from datetime import UTC, datetime, timedelta

import pytest

from moneyflow.platform import clock
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.failed.filters import Filter
from ops.cli.filters import filter_from
from ops.cli.options import acting_operator, job_ids
from ops.cli.output import plain
from ops.cli.times import rate_per_second


@pytest.mark.parametrize(
    ("text", "per_second"), [("50", 50), ("50/s", 50), ("2.5/s", 2.5), ("600/m", 10), ("1800/h", 0.5), (" 5/s ", 5)]
)
def test_a_rate_is_jobs_per_second_minute_or_hour(text: str, per_second: float) -> None:
    assert rate_per_second(text, option="--rate") == per_second


@pytest.mark.parametrize("text", ["", "0", "-1", "0/s", "fast", "5/d", "5 per second", "1e9/s", "inf"])
def test_what_is_no_rate_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidInputError, match="--rate"):
        rate_per_second(text, option="--rate")


@pytest.mark.parametrize(("text", "ago"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("7d", 604_800), ("1.5h", 5400)])
def test_a_time_may_be_an_age(text: str, ago: float) -> None:
    since = filter_from(since=text).since

    assert since is not None
    assert clock.now() - since - timedelta(seconds=ago) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T03:00Z", datetime(2026, 1, 31, 3, tzinfo=UTC)),
        ("2026-01-31T03:00:00+02:00", datetime(2026, 1, 31, 1, tzinfo=UTC)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_a_moment_and_is_utc_where_it_does_not_say(text: str, moment: datetime) -> None:
    assert filter_from(until=text).until == moment


def test_what_is_not_given_holds_for_all_and_what_is_given_is_kept() -> None:
    chosen = filter_from(kind=["send_email"], priority=["7-9", "0"], until="2026-01-31")

    assert filter_from() == Filter()
    assert Filter().is_empty
    assert Filter().as_json() == {}
    assert not chosen.is_empty
    assert chosen.as_json() == {
        "kinds": ["send_email"], "priorities": [0, 7, 8, 9], "until": "2026-01-31T00:00:00.000000Z",
    }  # fmt: skip


def test_an_id_that_is_given_twice_is_one_and_none_that_is_not_an_id_is_taken() -> None:
    first, second = new_id(), new_id()

    assert job_ids([str(first), str(second), str(first)]) == (first, second)
    with pytest.raises(InvalidInputError, match="moneyflow failed list"):
        job_ids([str(first), "1"])


def test_who_asks_is_who_is_named_else_the_user_of_the_machine() -> None:
    assert acting_operator("ada") == "ada"
    assert acting_operator(None)


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert plain("a\x1b[2Jb\x07\n\tc\x9b").plain == "a\\x1b[2Jb\\x07\n\tc\\x9b"
