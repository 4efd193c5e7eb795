"""Ticks of schedules: declare, tick, list, run, pause and resume; each tick is enqueued once."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import metrics
from moneyflow.platform.jobs.cron import ticks_after
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.policy import Unique
from moneyflow.platform.jobs.schedules import Plan, Schedule, plan, registry
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries
from moneyflow.platform.suggestions import did_you_mean
from moneyflow.platform.telemetry.origin import Origin, working_for

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: Seconds that a tick's key is unique: a second safeguard, should other code enqueue the tick without this table.
_TICK = Unique(for_seconds=86_400)


@dataclass(frozen=True, kw_only=True)
class Due:
    """The schedules that tick now, and the seconds until the next tick; None when no schedule has one."""

    names: tuple[str, ...]
    wait_seconds: float | None


def declare_all(session: Session) -> None:
    """Write the declared schedules to their table, and mark those that are no longer declared as removed."""
    now = _now(session)
    for schedule in registry.values():
        fields = {option: getattr(schedule, option) for option in ("name", "kind", "cron", "time_zone")}
        fields |= {"overlap": schedule.overlap, "catch_up": schedule.catch_up}
        session.execute(_QUERIES["declare"], fields | {"next_tick_at": next(schedule.ticks_after(now))})
    removed = session.fetch_all(_QUERIES["remove_others"], {"names": list(registry)})
    log.info("schedules_declared", schedules=sorted(registry), removed=[row["name"] for row in removed])


def due(session: Session) -> Due:
    """Return what ticks now, without schedules that only another version of the code declares."""
    row = session.fetch_one(_QUERIES["due"])
    assert row is not None
    names = tuple(name for name in row["names"] or () if name in registry)
    return Due(names=names, wait_seconds=row["wait_seconds"])


def tick(session: Session, name: str) -> list[UUID]:
    """Enqueue the jobs of the schedule's due ticks and advance it, in the session's transaction; return their ids.

    When several relays call it at once, one of them enqueues each tick.
    """
    schedule = registry[name]
    row = session.fetch_one(_QUERIES["tick_of"], {"name": name})
    if row is None:
        return []
    planned = plan(schedule, expected=row["next_tick_at"], now=row["now"])
    is_overlap = schedule.overlap == "skip" and row["is_unfinished"]
    ticks = () if is_overlap else planned.ticks
    skipped = len(planned.ticks) - len(ticks)
    if not _advance(session, name, planned, ticks, expected=row["next_tick_at"], skipped=skipped):
        return []
    session.after_commit(partial(_report_skipped, name, planned, skipped))
    return _enqueue(session, schedule, ticks) if ticks else []


def listed(session: Session) -> list[DictRow]:
    """Return the row of every schedule, with `last_job_state`."""
    return session.fetch_all(_QUERIES["list"])


def run(session: Session, name: str) -> UUID:
    """Enqueue the schedule's job now, in addition to its ticks, and return its id.

    Raises:
        NotFoundError: there is no such schedule.
    """
    schedule = registry.get(name)
    if schedule is None:
        raise _unknown(session, name)
    key = f"schedule:{name}:by-hand:{new_id()}"
    with working_for(Origin(correlation_id=f"schedule:{name}")):
        (job_id,) = enqueue_many(session, [schedule.job_at(clock.now())], keys=[key], unique=_TICK)
    session.execute(_QUERIES["set_last_job"], {"name": name, "job_id": job_id, "by_hand": True})
    return job_id


def pause(session: Session, name: str, *, by: str, reason: str) -> None:
    """Pause the schedule: it does not tick until it is resumed.

    Raises:
        NotFoundError: there is no such schedule.
        ConflictError: it is paused already.
    """
    _find(session, name)
    if session.execute(_QUERIES["pause"], {"name": name, "by": by, "reason": reason}).rowcount == 0:
        raise ConflictError(f"the schedule {name} is paused already", about="schedule")


def resume(session: Session, name: str) -> datetime:
    """Resume the schedule and return its next tick; ticks of the pause are not caught up.

    Raises:
        NotFoundError: there is no such schedule.
        ConflictError: it is not paused.
    """
    row = _find(session, name)
    next_tick_at = next(ticks_after(_now(session), cron=row["cron"], time_zone=row["time_zone"]))
    if session.execute(_QUERIES["resume"], {"name": name, "next_tick_at": next_tick_at}).rowcount == 0:
        raise ConflictError(f"{name} is not paused")
    return next_tick_at


def _advance(
    session: Session, name: str, planned: Plan, ticks: tuple[datetime, ...], *, expected: datetime, skipped: int
) -> bool:
    """Advance the schedule; return False when another relay did."""
    parameters = {
        "name": name,
        "expected": expected,
        "next_tick_at": planned.next_tick_at,
        "last_tick_at": ticks[-1] if ticks else None,
        "skipped": skipped,
        "missed": planned.missed,
    }
    return session.execute(_QUERIES["advance"], parameters).rowcount == 1


def _enqueue(session: Session, schedule: Schedule, ticks: tuple[datetime, ...]) -> list[UUID]:
    keys = [f"schedule:{schedule.name}:{clock.rfc3339(tick)}" for tick in ticks]
    jobs = [schedule.job_at(tick) for tick in ticks]
    with working_for(Origin(correlation_id=f"schedule:{schedule.name}")):
        ids = enqueue_many(session, jobs, keys=keys, unique=_TICK)
    session.execute(_QUERIES["set_last_job"], {"name": schedule.name, "job_id": ids[-1], "by_hand": False})
    session.after_commit(lambda: metrics.schedule_ticks.labels(schedule.name, "enqueued").inc(len(ids)))
    return ids


def _report_skipped(name: str, planned: Plan, skipped: int) -> None:
    for outcome, count in (("skipped", skipped), ("missed", planned.missed)):
        if count:
            metrics.schedule_ticks.labels(name, outcome).inc(count)
            log.warning("ticks_skipped", schedule=name, reason=outcome, ticks=count, next_tick_at=planned.next_tick_at)


def _now(session: Session) -> datetime:
    row = session.fetch_one(_QUERIES["now"])
    assert row is not None
    now: datetime = row["now"]
    return now


def _find(session: Session, name: str) -> DictRow:
    row = session.fetch_one(_QUERIES["find"], {"name": name})
    if row is None:
        raise _unknown(session, name)
    return row


def _unknown(session: Session, name: str) -> NotFoundError:
    if name in registry:
        return NotFoundError(
            f"the schedule {name} is declared, but no relay has led since; start a relay of this version"
        )
    known = registry.keys() | {row["name"] for row in listed(session)}
    advice = did_you_mean(name, known, otherwise=f"there are: {', '.join(sorted(known)) or 'none'}")
    return NotFoundError(f"there is no schedule {name}; {advice}")
