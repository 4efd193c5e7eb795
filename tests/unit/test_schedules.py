"""A schedule's declaration and ticks: wrong options fail where they are declared, clocks change, ticks are missed."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest

from moneyflow.platform.jobs import schedules
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.schedules import CATCH_UP_LIMIT, Plan, Schedule, declare, plan

pytestmark = pytest.mark.usefixtures("contracts")


class Sweep(Job, kind="sweep"):
    """A job that is scheduled here and never runs."""

    until: str = ""


def _schedule(**options: Any) -> Schedule:
    usual: dict[str, Any] = {"name": "sweep", "cron": "*/10 * * * *", "job": Sweep()}
    return Schedule(**usual | options)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ticks(after: str, count: int, **options: Any) -> list[str]:
    ticks = islice(_schedule(**options).ticks_after(_at(after)), count)
    return [f"{tick:%d %H:%M}" for tick in ticks]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "Month End"}, "name must be of the form month_end"),
        ({"cron": "* * *"}, r"cron: Wrong number of fields in '\* \* \*'; it is of the form"),
        ({"cron": "61 * * * *"}, "cron: Bad minute in"),
        ({"cron": "0 0 31 2 *"}, "cron: Bad day-of-month in"),
        ({"cron": "0 0 */30 * TUE#2"}, "cron: no tick in"),
        ({"time_zone": "Europe/Berlln"}, "time_zone: 'Europe/Berlln' is unknown; did you mean Europe/Berlin"),
        ({"time_zone": "../etc/passwd"}, "time_zone: '../etc/passwd' is unknown; it is of the form Europe/Berlin"),
        ({"overlap": "never"}, "overlap: must be one of skip, allow, not 'never'"),
        ({"catch_up": "some"}, "catch_up: must be one of none, latest, all, not 'some'"),
        ({"catch_up": "all", "overlap": "skip"}, "catch_up: 'all' needs overlap='allow'"),
        ({"on_time_seconds": 0}, "on_time_seconds: must be above 0 and at most 100 years, not 0"),
        ({"job": lambda _: "sweep"}, "job: must be a job or return one, not 'sweep'"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_a_wrong_option_fails_at_the_declaration_and_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _schedule(**options)


def test_a_name_is_given_once() -> None:
    declare(_schedule())
    declare(_schedule())  # The same declaration, imported again.

    with pytest.raises(ValueError, match="schedule sweep: name: there is another"):
        declare(_schedule(cron="0 0 * * *"))

    assert schedules.registry["sweep"].cron == "*/10 * * * *"


def test_the_job_may_know_its_tick() -> None:
    schedule = _schedule(job=lambda tick: Sweep(until=tick.isoformat()))

    job = schedule.job_at(_at("2026-05-01 06:00"))

    assert job == Sweep(until="2026-05-01T06:00:00+00:00")
    assert schedule.kind == "sweep"


def test_ticks_are_moments_of_the_schedules_own_time_zone() -> None:
    assert _ticks("2026-01-10", 2, cron="0 6 * * *", time_zone="Europe/Berlin") == ["10 05:00", "11 05:00"]
    assert _ticks("2026-07-10", 2, cron="0 6 * * *", time_zone="Europe/Berlin") == ["10 04:00", "11 04:00"]
    assert _ticks("2026-07-10", 2, cron="0 6 * * *", time_zone="Asia/Kolkata") == ["10 00:30", "11 00:30"]


def test_a_moment_that_the_clock_leaves_out_comes_right_after_the_gap() -> None:
    # 29 March 2026, Berlin: 02:00 becomes 03:00, which is 01:00 UTC.
    ticks = _ticks("2026-03-28", 3, cron="30 2 * * *", time_zone="Europe/Berlin")

    assert ticks == ["28 01:30", "29 01:00", "30 00:30"]


def test_a_moment_that_the_clock_shows_twice_comes_once() -> None:
    # 25 October 2026, Berlin: 03:00 becomes 02:00 again at 01:00 UTC.
    ticks = _ticks("2026-10-24", 3, cron="30 2 * * *", time_zone="Europe/Berlin")

    assert ticks == ["24 00:30", "25 00:30", "26 01:30"]


def test_no_tick_comes_back_in_the_hour_that_is_shown_twice() -> None:
    between_the_two = _ticks("2026-10-25 01:10", 1, cron="30 2 * * *", time_zone="Europe/Berlin")

    assert between_the_two == ["26 01:30"]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_what_comes_each_half_hour_comes_each_half_hour_whatever_the_clock_does(day: str) -> None:
    ticks = list(islice(_schedule(cron="*/30 * * * *", time_zone="Europe/Berlin").ticks_after(_at(day)), 10))

    assert {later - earlier for earlier, later in pairwise(ticks)} == {timedelta(minutes=30)}


def _planned(catch_up: str, *, expected: str, now: str, cron: str = "*/10 * * * *") -> Plan:
    schedule = _schedule(catch_up=catch_up, overlap="allow", cron=cron)
    return plan(schedule, expected=_at(expected), now=_at(now))


@pytest.mark.parametrize("catch_up", ["none", "latest", "all"])
def test_a_tick_that_is_found_in_time_is_enqueued_whatever_is_caught_up(catch_up: str) -> None:
    planned = _planned(catch_up, expected="2026-05-01 06:10", now="2026-05-01 06:10:01")

    assert planned == Plan((_at("2026-05-01 06:10"),), 0, _at("2026-05-01 06:20"))


@pytest.mark.parametrize(
    ("catch_up", "enqueued", "missed"),
    [("none", [], 4), ("latest", ["06:40"], 3), ("all", ["06:10", "06:20", "06:30", "06:40"], 0)],
)
def test_what_no_relay_was_there_for_is_caught_up_as_declared(catch_up: str, enqueued: list[str], missed: int) -> None:
    planned = _planned(catch_up, expected="2026-05-01 06:10", now="2026-05-01 06:42")

    assert planned == Plan(tuple(_at(f"2026-05-01 {tick}") for tick in enqueued), missed, _at("2026-05-01 06:50"))


def test_of_very_many_missed_ticks_the_newest_are_caught_up_run_by_run() -> None:
    expected, now = _at("2026-05-01"), _at("2026-05-01 06:00:00")
    schedule = _schedule(cron="* * * * * *", catch_up="all", overlap="allow")

    runs = [plan(schedule, expected=expected, now=now)]
    while runs[-1].next_tick_at <= now:
        runs.append(plan(schedule, expected=runs[-1].next_tick_at, now=now))

    caught_up = [tick for run in runs for tick in run.ticks]
    assert len(runs) == 3
    assert caught_up == [now - timedelta(seconds=n) for n in reversed(range(CATCH_UP_LIMIT))]
    assert sum(run.missed for run in runs) + len(caught_up) == 6 * 3600 + 1


@pytest.mark.parametrize("catch_up", ["none", "latest"])
def test_of_very_many_missed_ticks_the_last_is_still_seen(catch_up: str) -> None:
    now = _at("2026-05-01 06:00:00")
    run = _planned(catch_up, expected="2026-05-01", now="2026-05-01 06:00", cron="* * * * * *")
    missed = run.missed
    while run.next_tick_at <= now:
        run = _planned(catch_up, expected=f"{run.next_tick_at:%F %T}", now="2026-05-01 06:00", cron="* * * * * *")
        missed += run.missed

    assert run.ticks == (now,)
    assert missed == 6 * 3600
