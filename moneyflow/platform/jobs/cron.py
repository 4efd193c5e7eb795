"""Cron ticks: the moments of a cron expression in a time zone whose clock is set forward and back.

The rule depends on the hours that the expression names, and on nothing else of its form:

- Every hour (`*`, `*/1`, `0-23`): it ticks at each moment whose local time it matches. So `*/20 * * * *` ticks every
  twenty minutes, through the hour that is shown twice as well, and what is skipped has no ticks.
- Some hours: each time that it names ticks once a day, at the first moment at which the local clock shows it or a later
  time. A time that is shown twice ticks at the first, and times that are skipped tick together once, at the change.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

_HOURS = 24
_DAY = timedelta(days=1)


def ticks_after(moment: datetime, *, cron: str, time_zone: str) -> Iterator[datetime]:
    """Yield the ticks of a cron expression after `moment`, in UTC and in order, without end."""
    zone = ZoneInfo(time_zone)
    last = moment.astimezone(UTC)
    local = moment.astimezone(zone).replace(tzinfo=None)
    times = CronSim(cron, local)  # Local times, as if clocks were never set.
    if len(times.hours) == _HOURS:
        times = CronSim(cron, local - _set_back(last, zone))
        ticks = _each_showing(times, zone)
    else:
        ticks = (_first_showing(time, zone) for time in times)
    for tick in ticks:
        if tick > last:
            last = tick
            yield tick


def _set_back(moment: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much the clock is set back within a day: times just before `moment` are then shown once more."""
    return max(_offset(moment, zone) - _offset(moment + _DAY, zone), timedelta())


def _each_showing(times: Iterator[datetime], zone: ZoneInfo) -> Iterator[datetime]:
    """Yield every moment at which the local clock shows one of the times."""
    shown_again: deque[datetime] = deque()
    for time in times:
        first, second = _at(time, zone, fold=0), _at(time, zone, fold=1)
        while shown_again and shown_again[0] < first:
            yield shown_again.popleft()
        if first > second:
            continue  # It is skipped.
        yield first
        if second > first:
            shown_again.append(second)


def _first_showing(time: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which the local clock shows the time or a later one."""
    after, before = _at(time, zone, fold=0), _at(time, zone, fold=1)
    if after <= before:
        return after
    # The time is skipped: the change is between the two moments that the offsets before and after it give.
    seconds = range(int((after - before).total_seconds()))
    new = _offset(after, zone)
    return before + timedelta(
        seconds=bisect_left(seconds, 1, key=lambda s: int(_offset(before + timedelta(seconds=s), zone) == new))
    )


def _at(time: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    return time.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
