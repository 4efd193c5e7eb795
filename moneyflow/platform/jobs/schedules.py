"""Jobs that come again and again: cron schedules, declared beside the contract of the job that they enqueue."""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice, takewhile
from typing import Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from moneyflow.platform import clock
from moneyflow.platform.jobs.contract import Job

Overlap = Literal["skip", "allow"]
CatchUp = Literal["none", "latest", "all"]

#: So many missed ticks of one schedule are caught up at most, the newest ones.
CATCH_UP_LIMIT = 1000
#: So many ticks are looked at in one turn; more than are caught up, so that each turn comes further.
_LOOK_AT_MOST = 10_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

#: Every declared schedule by its name; filled when the contracts are imported.
registry: dict[str, "Schedule"] = {}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When a job is enqueued again and again::

        declare(Schedule(name="purge", cron="*/10 * * * *", job=Purge()))
        declare(Schedule(name="month_end", cron="0 6 1 * *", time_zone="Europe/Berlin", catch_up="latest",
                         job=lambda tick: CloseMonth(until=tick)))

    `cron` has five fields, or six with the seconds in front, and is read in `time_zone`: an hour that a change of the
    clock leaves out comes right after it, one that comes twice counts once, and `* * * *` goes on through both.
    `job` is enqueued at each tick, or what it returns when it is called with the tick's moment, in UTC.

    `overlap`: "skip" leaves a tick out while the job of the tick before has not ended; "allow" does not look.
    `catch_up`: what becomes of ticks that no relay was there to enqueue. "none": a tick that is found more than
    `on_time_seconds` late is left out; "latest": the newest of them is enqueued; "all": each of them, up to the newest
    1,000, which needs `overlap="allow"`.

    Raises:
        ValueError: an option does not fit; the text names it.
    """  # noqa: D415 - it ends with an example

    name: str
    cron: str
    job: Job | Callable[[datetime], Job]
    time_zone: str = "UTC"
    overlap: Overlap = "skip"
    catch_up: CatchUp = "none"
    on_time_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"schedule {self.name!r}: name must be of the form month_end")
        self._check_choice("overlap", self.overlap, get_args(Overlap))
        self._check_choice("catch_up", self.catch_up, get_args(CatchUp))
        if self.catch_up == "all" and self.overlap == "skip":
            raise self._wrong("catch_up", "'all' needs overlap='allow', or all but the first would be skipped")
        if self.on_time_seconds <= 0:
            raise self._wrong("on_time_seconds", f"must be above 0, not {self.on_time_seconds}")
        self._check_time_zone()
        first = self._first_tick()
        if not isinstance(self.job_at(first), Job):
            raise self._wrong("job", f"must be a job or return one, not {self.job_at(first)!r}")

    @cached_property
    def kind(self) -> str:
        """The kind of the jobs that it enqueues."""
        return self.job_at(self._first_tick()).kind

    def job_at(self, tick: datetime) -> Job:
        """Return the job of a tick."""
        return self.job if isinstance(self.job, Job) else self.job(tick)

    def ticks_after(self, moment: datetime) -> Iterator[datetime]:
        """Return the ticks behind a moment, in UTC and in their order, without end."""
        return ticks_after(moment, cron=self.cron, time_zone=self.time_zone)

    def _first_tick(self) -> datetime:
        try:
            return next(self.ticks_after(clock.now()))
        except (CronSimError, StopIteration) as error:
            why = f"{error}" if isinstance(error, CronSimError) else "no moment fits"
            raise self._wrong("cron", f"{why} in {self.cron!r}; it is of the form '*/10 * * * *'") from error

    def _check_choice(self, option: str, value: str, choices: tuple[str, ...]) -> None:
        if value not in choices:
            raise self._wrong(option, f"must be one of {', '.join(choices)}, not {value!r}")

    def _check_time_zone(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (LookupError, ValueError, OSError) as error:
            near = difflib.get_close_matches(self.time_zone, available_timezones(), n=1)
            hint = f"did you mean {near[0]}?" if near else "it is of the form Europe/Berlin"
            raise self._wrong("time_zone", f"{self.time_zone!r} is unknown; {hint}") from error

    def _wrong(self, option: str, why: str) -> ValueError:
        return ValueError(f"schedule {self.name}: {option}: {why}")


def ticks_after(moment: datetime, *, cron: str, time_zone: str) -> Iterator[datetime]:
    """Yield the moments of a cron expression behind `moment`, in UTC and in their order, without end."""
    last = moment.astimezone(UTC)
    for local in CronSim(cron, moment.astimezone(ZoneInfo(time_zone))):
        tick = local.astimezone(UTC)
        if tick > last:  # A wall clock that was put back shows an hour that is over already.
            last = tick
            yield tick


@dataclass(frozen=True)
class Plan:
    """What is to become of a schedule's ticks that are due."""

    #: To be enqueued.
    ticks: tuple[datetime, ...]
    #: How many are left out, for they come too late.
    missed: int
    next_tick_at: datetime


def declare(schedule: Schedule) -> Schedule:
    """Let the relay enqueue by this schedule.

    Raises:
        ValueError: another schedule has the name.
    """
    if registry.setdefault(schedule.name, schedule) != schedule:
        raise ValueError(f"schedule {schedule.name}: name: there is another schedule of that name; rename one")
    return schedule


def plan(schedule: Schedule, *, expected: datetime, now: datetime) -> Plan:
    """Say what becomes of the ticks from `expected`, the first that was not enqueued, up to `now`.

    When very many were missed it says so of the oldest alone, and the rest is due still.
    """
    ticks = schedule.ticks_after(expected)
    due = [expected, *islice(takewhile(lambda tick: tick <= now, ticks), _LOOK_AT_MOST - 1)]
    kept = due[-CATCH_UP_LIMIT:] if schedule.catch_up == "all" else due[-1:]
    if len(due) == _LOOK_AT_MOST:
        return Plan(ticks=(), missed=len(due) - len(kept), next_tick_at=kept[0])
    if schedule.catch_up == "none" and (now - kept[0]).total_seconds() > schedule.on_time_seconds:
        kept = []
    return Plan(
        ticks=tuple(kept), missed=len(due) - len(kept), next_tick_at=next(schedule.ticks_after(max(now, due[-1])))
    )
