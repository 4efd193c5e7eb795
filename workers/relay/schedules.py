"""Schedule relay: enqueues the job of each due tick, in the transaction that moves the schedule on."""

import asyncio
from collections.abc import Callable

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database, is_transient
from moneyflow.platform.jobs import ticks

log = structlog.get_logger(__name__)

_BEFORE_TICK = failpoints.declare("relay.before_tick")
_TICKED = failpoints.declare("relay.ticked")

#: Seconds until a schedule that was resumed or declared is seen, at most.
_POLL_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.01


class ScheduleRelay:
    """Ticks the schedules in a thread, on sessions of its own: to enqueue is the same code as everywhere.

    The tick's transaction makes it exist once, not the leadership: a relay that no longer leads does no harm.
    """

    def __init__(self, database: Database, *, enqueued: Callable[[], None]) -> None:
        self._database = database
        self._enqueued = enqueued
        self._is_declared = False

    async def run_once(self) -> float:
        """Enqueue what is due; return the seconds to wait before the next look."""
        count, pause_seconds = await asyncio.to_thread(self._tick_all)
        if count:
            self._enqueued()
        return pause_seconds

    def _tick_all(self) -> tuple[int, float]:
        """Tick every schedule that is due, each in its own transaction."""
        if not self._is_declared:
            with self._database.transaction() as session:
                ticks.declare_all(session)
            self._is_declared = True
        with self._database.transaction() as session:
            due = ticks.due(session)
        enqueued = sum(self._tick(name) for name in due.names)
        if due.wait_seconds is None or due.wait_seconds <= 0:
            return enqueued, _SHORTEST_PAUSE_SECONDS if enqueued else _POLL_SECONDS
        return enqueued, min(max(due.wait_seconds, _SHORTEST_PAUSE_SECONDS), _POLL_SECONDS)

    def _tick(self, name: str) -> int:
        """Tick one schedule; an error of one delays no other."""
        try:
            with self._database.transaction() as session:
                ids = ticks.tick(session, name)
                failpoints.reach(_BEFORE_TICK)
            failpoints.reach(_TICKED)
        except Exception as error:
            if is_transient(error):
                raise
            log.exception("schedule_failed", schedule=name, consequence="it is retried")
            return 0
        if ids:
            log.info("schedule_ticked", schedule=name, job_ids=[str(job_id) for job_id in ids])
        return len(ids)
