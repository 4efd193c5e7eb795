"""Schedules tick: the leader inserts the job of each due tick, in the transaction that moves the schedule on."""

import asyncio
from collections.abc import Callable

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database, is_passing
from moneyflow.platform.jobs.store import schedules

log = structlog.get_logger(__name__)

#: A schedule that somebody resumes or declares is seen after so long.
_POLL_SECONDS = 1.0
_SHORTEST_PAUSE_SECONDS = 0.01


class ScheduleRelay:
    """Ticks the schedules on a connection of its own, in a thread: to enqueue is the same code as everywhere.

    What makes each tick exist once is in its transaction and not in who leads: a relay that leads no more, and does not
    know it yet, does no harm.
    """

    def __init__(self, database: Database, *, enqueued: Callable[[], None]) -> None:
        self._database = database
        self._enqueued = enqueued
        self._is_declared = False

    async def turn(self) -> float:
        """Insert what is due and return when to look again."""
        count, pause_seconds = await asyncio.to_thread(self._tick_all)
        if count:
            self._enqueued()
        return pause_seconds

    def _tick_all(self) -> tuple[int, float]:
        """Tick every schedule that is due, each in its own transaction."""
        if not self._is_declared:
            with self._database.transaction() as session:
                schedules.declare_all(session)
            self._is_declared = True
        with self._database.transaction() as session:
            due = schedules.due(session)
        enqueued = sum(self._tick(name) for name in due.names)
        if due.wait_seconds is None or due.wait_seconds <= 0:
            return enqueued, _SHORTEST_PAUSE_SECONDS if enqueued else _POLL_SECONDS
        return enqueued, min(max(due.wait_seconds, _SHORTEST_PAUSE_SECONDS), _POLL_SECONDS)

    def _tick(self, name: str) -> int:
        """Tick one schedule; what is wrong with it holds up no other."""
        try:
            with self._database.transaction() as session:
                ids = schedules.tick(session, name)
                failpoints.reach("relay.before_tick")
            failpoints.reach("relay.ticked")
        except Exception as error:
            if is_passing(error):
                raise
            log.exception("schedule_failed", schedule=name, consequence="it is tried again")
            return 0
        if ids:
            log.info("schedule_ticked", schedule=name, job_ids=[str(job_id) for job_id in ids])
        return len(ids)
