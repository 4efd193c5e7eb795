"""Cron schedules: declared next to the contract of the job that they enqueue."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice, takewhile
from typing import Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSimError

from moneyflow.platform import clock
from moneyflow.platform.bounds import is_wait
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.cron import ticks_after
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.suggestions import did_you_mean

Overlap = Literal["skip", "allow"]
CatchUp = Literal["none", "latest", "all"]

#: Missed ticks of one schedule that are caught up at most, the newest.
CATCH_UP_LIMIT = 1000
#: Ticks that one plan reads at most; more than are caught up, so that each plan advances the schedule.
_MOST_TICKS = 10_000
_NAME = Pattern(r"[a-z][a-z0-9_]{0,62}", longest=63)

#: Declared schedules by name; filled when the contracts are imported.
registry: dict[str, "Schedule"] = {}


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Schedule: enqueues a job at each tick of a cron expression::

        declare(Schedule(name="purge", cron="*/10 * * * *", job=Purge()))
        declare(Schedule(name="month_end", cron="0 6 1 * *", time_zone="Europe/Berlin", catch_up="latest",
                         job=lambda tick: CloseMonth(until=tick)))

    `cron` has five fields, or six with the seconds first, and is read in `time_zone`. When clocks change, a schedule of
    every hour follows real time; any other ticks once for each time that it names (`cron.py` has the rule).
    `job` is the job of each tick, or a function that returns it for the tick's time in UTC.

    `overlap`: "skip" skips a tick while the job of the previous one is unfinished; "allow" does not.
    `catch_up` decides on ticks that were missed while no relay ran. "none": a tick that is more than `on_time_seconds`
    late is dropped; "latest": the newest is enqueued; "all": the newest 1,000 are, which needs `overlap="allow"`.

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
        if not is_wait(self.on_time_seconds):
            raise self._wrong("on_time_seconds", f"must be above 0 and at most 100 years, not {self.on_time_seconds}")
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
        """Return the ticks after a moment, in UTC and in order, without end."""
        return ticks_after(moment, cron=self.cron, time_zone=self.time_zone)

    def _first_tick(self) -> datetime:
        try:
            return next(self.ticks_after(clock.now()))
        except (CronSimError, StopIteration) as error:
            problem = f"{error}" if isinstance(error, CronSimError) else "no tick"
            raise self._wrong("cron", f"{problem} in {self.cron!r}; it is of the form '*/10 * * * *'") from error

    def _check_choice(self, option: str, value: str, choices: tuple[str, ...]) -> None:
        if value not in choices:
            raise self._wrong(option, f"must be one of {', '.join(choices)}, not {value!r}")

    def _check_time_zone(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (LookupError, ValueError, OSError) as error:
            advice = did_you_mean(self.time_zone, available_timezones(), otherwise="it is of the form Europe/Berlin")
            raise self._wrong("time_zone", f"{self.time_zone!r} is unknown; {advice}") from error

    def _wrong(self, option: str, problem: str) -> ValueError:
        return ValueError(f"schedule {self.name}: {option}: {problem}")


@dataclass(frozen=True)
class Plan:
    """Plan for the due ticks of a schedule."""

    #: The ticks to enqueue.
    ticks: tuple[datetime, ...]
    #: The number of ticks to drop, because they are too late.
    missed: int
    next_tick_at: datetime


def declare(schedule: Schedule) -> Schedule:
    """Declare a schedule: the relay enqueues by it.

    Raises:
        ValueError: another schedule has the name.
    """
    if registry.setdefault(schedule.name, schedule) != schedule:
        raise ValueError(f"schedule {schedule.name}: name: there is another schedule of this name; rename one")
    return schedule


def plan(schedule: Schedule, *, expected: datetime, now: datetime) -> Plan:
    """Plan the ticks from `expected`, the first that was not enqueued, up to `now`.

    When more than 10,000 ticks were missed, the plan drops the oldest of them, and the rest is still due.
    """
    ticks = schedule.ticks_after(expected)
    due = [expected, *islice(takewhile(lambda tick: tick <= now, ticks), _MOST_TICKS - 1)]
    kept = due[-CATCH_UP_LIMIT:] if schedule.catch_up == "all" else due[-1:]
    if len(due) == _MOST_TICKS:
        return Plan(ticks=(), missed=len(due) - len(kept), next_tick_at=kept[0])
    if schedule.catch_up == "none" and (now - kept[0]).total_seconds() > schedule.on_time_seconds:
        kept = []
    return Plan(
        ticks=tuple(kept), missed=len(due) - len(kept), next_tick_at=next(schedule.ticks_after(max(now, due[-1])))
    )
