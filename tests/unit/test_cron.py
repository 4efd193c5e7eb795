"""Cron at clock changes: one rule for every form, held for ten years in more than twenty time zones.

The expected ticks are made from what the local clock shows in each minute around each change.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, takewhile
from zoneinfo import ZoneInfo

import pytest

from moneyflow.platform.jobs.cron import ticks_after

#: Zones that change in March or in April, at midnight, by half an hour or two hours, by the moon, or never.
_ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/Los_Angeles",
    "America/New_York", "America/Santiago", "America/Sao_Paulo", "America/St_Johns", "Antarctica/Troll",
    "Asia/Beirut", "Asia/Gaza", "Asia/Jerusalem", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe",
    "Europe/Berlin", "Europe/Dublin", "Europe/Lisbon", "Europe/London", "Pacific/Auckland", "Pacific/Chatham", "UTC",
)  # fmt: skip
_BEGIN, _END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)

_EVERY_HOUR = range(24)
_EVERY_MINUTE = range(60)


def _every_day(_: datetime) -> bool:
    return True


@dataclass(frozen=True)
class Form:
    """A cron expression, and what it says."""

    cron: str
    hours: Collection[int]
    minutes: Collection[int]
    is_day: Callable[[datetime], bool] = field(default=_every_day)


_FOLLOWING_REAL_TIME = (
    Form("* * * * *", _EVERY_HOUR, _EVERY_MINUTE),
    Form("*/20 * * * *", _EVERY_HOUR, (0, 20, 40)),
    Form("30 */1 * * *", _EVERY_HOUR, (30,)),
    Form("0,45 0-23 * * *", _EVERY_HOUR, (0, 45)),
    Form("0 */15 * * * SUN", _EVERY_HOUR, (0, 15, 30, 45), lambda day: day.isoweekday() == 7),
)
_ONCE_FOR_EACH_TIME = (
    Form("30 2 * * *", (2,), (30,)),
    Form("*/20 2 * * *", (2,), (0, 20, 40)),
    Form("0 */2 * * *", range(0, 24, 2), (0,)),
    Form("*/30 */3 * * *", range(0, 24, 3), (0, 30)),
    Form("* 1-3 * * *", (1, 2, 3), _EVERY_MINUTE),
    Form("15 0-22 * * *", range(23), (15,)),
    Form("*/10 0,23 * * *", (0, 23), range(0, 60, 10)),
    Form("0 0 * * *", (0,), (0,)),
    Form("0 0 1 * *", (0,), (0,), lambda day: day.day == 1),
    Form("30 1 * * SUN", (1,), (30,), lambda day: day.isoweekday() == 7),
    Form("15 2 L * *", (2,), (15,), lambda day: (day + _DAY).day == 1),
    Form("0 0 2 * * *", (2,), (0,)),
    Form("0 */30 2 * * 7L", (2,), (0, 30), lambda day: day.isoweekday() == 7 and (day + 7 * _DAY).month != day.month),
)


@lru_cache
def _changes(time_zone: str) -> list[datetime]:
    """Return the moments at which the zone's clock is set, to the minute."""
    zone = ZoneInfo(time_zone)

    def offset(minute: int) -> timedelta | None:
        return (_BEGIN + minute * _MINUTE).astimezone(zone).utcoffset()

    found, day = [], 24 * 60
    for start in range(0, int((_END - _BEGIN) / _MINUTE), day):
        if offset(start) != offset(start + day):
            minutes = range(start, start + day + 1)
            found.append(
                _BEGIN + minutes[bisect_left(minutes, 1, key=lambda m: int(offset(m) != offset(start)))] * _MINUTE
            )
    return found


@dataclass(frozen=True)
class Clock:
    """What the clock of a zone shows in each minute from `begin` to `end`."""

    begin: datetime
    end: datetime
    shown: list[datetime]

    def following_real_time(self, form: Form) -> list[datetime]:
        """Return the moments whose local time the form matches."""
        return [
            self.begin + number * _MINUTE
            for number, local in enumerate(self.shown)
            if number > 0 and local.minute in form.minutes and form.is_day(local)
        ]

    def once_for_each_time(self, form: Form) -> list[datetime]:
        """Return the first moments at which the clock shows the times that the form names, or later ones."""
        latest = list(accumulate(self.shown, max))
        times = sorted(
            day.replace(hour=hour, minute=minute)
            for day in self._days()
            if form.is_day(day)
            for hour in form.hours
            for minute in form.minutes
        )
        named = [time for time in times if latest[0] < time <= latest[-1]]
        return sorted({self.begin + bisect_left(latest, time) * _MINUTE for time in named})

    def _days(self) -> Iterator[datetime]:
        day = self.shown[0].replace(hour=0, minute=0)
        while day <= self.shown[-1]:
            yield day
            day += _DAY


def _clock(time_zone: str, change: datetime, *, hours: int) -> Clock:
    zone, begin = ZoneInfo(time_zone), change - timedelta(hours=hours)
    shown = [(begin + n * _MINUTE).astimezone(zone).replace(tzinfo=None) for n in range(2 * hours * 60 + 1)]
    return Clock(begin, begin + 2 * hours * 60 * _MINUTE, shown)


def _ticks(form: Form, clock: Clock, time_zone: str) -> list[datetime]:
    ticks = ticks_after(clock.begin, cron=form.cron, time_zone=time_zone)
    return list(takewhile(lambda tick: tick <= clock.end, ticks))


@pytest.mark.parametrize("time_zone", _ZONES)
def test_a_schedule_of_every_hour_follows_real_time_through_every_change(time_zone: str) -> None:
    for change in _changes(time_zone) or [_BEGIN + 100 * _DAY]:
        clock = _clock(time_zone, change, hours=4)
        for form in _FOLLOWING_REAL_TIME:
            assert _ticks(form, clock, time_zone) == clock.following_real_time(form), (form.cron, change)


@pytest.mark.parametrize("time_zone", _ZONES)
def test_any_other_schedule_ticks_once_for_each_time_that_it_names_through_every_change(time_zone: str) -> None:
    for change in _changes(time_zone) or [_BEGIN + 100 * _DAY]:
        clock = _clock(time_zone, change, hours=30)
        for form in _ONCE_FOR_EACH_TIME:
            assert _ticks(form, clock, time_zone) == clock.once_for_each_time(form), (form.cron, change)


@pytest.mark.parametrize("time_zone", _ZONES)
def test_a_daily_schedule_ticks_on_every_day_of_ten_years_and_once(time_zone: str) -> None:
    zone = ZoneInfo(time_zone)
    ticks = takewhile(lambda tick: tick < _END, ticks_after(_BEGIN, cron="30 1 * * *", time_zone=time_zone))
    days = [tick.astimezone(zone).date() for tick in ticks]

    first, last = days[0], days[-1]
    assert days == [first + number * _DAY for number in range((last - first).days + 1)]
    assert len(days) > 3650


@pytest.mark.parametrize("form", [*_FOLLOWING_REAL_TIME, *_ONCE_FOR_EACH_TIME], ids=lambda form: form.cron)
def test_ticks_after_any_tick_are_the_ticks_that_follow_it(form: Form) -> None:
    """A relay asks again after each tick, also in the middle of a change."""
    for time_zone in ("Europe/Berlin", "Australia/Lord_Howe", "America/Havana"):
        for change in _changes(time_zone)[:2]:
            clock = _clock(time_zone, change, hours=3)
            all_at_once = _ticks(form, clock, time_zone)
            one_by_one, after = [], clock.begin
            while (after := next(ticks_after(after, cron=form.cron, time_zone=time_zone))) <= clock.end:
                one_by_one.append(after)

            assert one_by_one == all_at_once


@pytest.mark.parametrize(
    ("cron", "day", "ticks"),
    [
        ("*/20 2 * * *", "2026-03-29", ["03:00 CEST"]),
        ("*/20 2 * * *", "2026-10-25", ["02:00 CEST", "02:20 CEST", "02:40 CEST"]),
        ("0 */2 * * *", "2026-03-29", ["00:00 CET", "03:00 CEST", "04:00 CEST"]),
        ("0 */2 * * *", "2026-10-25", ["00:00 CEST", "02:00 CEST", "04:00 CET"]),
        ("30 * * * *", "2026-03-29", ["00:30 CET", "01:30 CET", "03:30 CEST", "04:30 CEST"]),
        ("30 * * * *", "2026-10-25", ["00:30 CEST", "01:30 CEST", "02:30 CEST", "02:30 CET", "03:30 CET", "04:30 CET"]),
    ],
)
def test_the_guides_examples_hold(cron: str, day: str, ticks: list[str]) -> None:
    zone = ZoneInfo("Europe/Berlin")
    before = datetime.fromisoformat(day).replace(tzinfo=zone) - timedelta(seconds=1)
    local = (tick.astimezone(zone) for tick in ticks_after(before, cron=cron, time_zone="Europe/Berlin"))

    shown = takewhile(lambda tick: tick.day == int(day[-2:]) and tick.hour < 5, local)
    assert [f"{tick:%H:%M %Z}" for tick in shown] == ticks


def test_every_zone_of_the_table_that_changes_has_its_changes_tried() -> None:
    counts = {time_zone: len(_changes(time_zone)) for time_zone in _ZONES}

    assert len(_ZONES) >= 20
    assert counts["Europe/Berlin"] == 20
    assert sum(count >= 18 for count in counts.values()) >= 14
