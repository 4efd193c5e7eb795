"""Waits: requests that wait until a job ends, all of a process by one query every fifth of a second.

A waiting request holds a thread and no connection. At most `places` wait at once, so that the other threads answer.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store.status import endings

log = structlog.get_logger(__name__)

#: Seconds between two queries: a client hardly notices, and one lookup by key takes well below a millisecond.
_POLL_SECONDS = 0.2


@dataclass(eq=False)
class _Waiter:
    """A request that waits, as the job's owner or as a stranger sees its end."""

    job_id: UUID
    is_stranger: bool
    ended: threading.Event = field(default_factory=threading.Event)


class JobWaits:
    """Lets requests wait for jobs; one thread asks Postgres for all of them, and runs only while any waits."""

    def __init__(self, database: Database, *, places: int, poll_seconds: float = _POLL_SECONDS) -> None:
        self._database = database
        self._places = threading.Semaphore(places)
        self._poll_seconds = poll_seconds
        self._changed = threading.Condition()
        self._waiters: set[_Waiter] = set()
        self._is_polling = False

    def wait(self, job_id: UUID, *, seconds: float, is_stranger: bool) -> bool:
        """Wait until the job has ended, or does not exist any more; return False at once when no place is free.

        The caller has returned its connection to the pool, and reads the job again afterwards.
        """
        if not self._places.acquire(blocking=False):
            return False
        try:
            self._wait(_Waiter(job_id, is_stranger), seconds)
        finally:
            self._places.release()
        return True

    def _wait(self, waiter: _Waiter, seconds: float) -> None:
        try:
            with self._changed:
                self._waiters.add(waiter)
                if not self._is_polling:
                    threading.Thread(target=self._poll, name="job-waits", daemon=True).start()
                    self._is_polling = True  # After the start: a machine may have no room for another thread.
            waiter.ended.wait(seconds)
        finally:
            with self._changed:
                self._waiters.discard(waiter)
                self._changed.notify()

    def _poll(self) -> None:
        """Ask for all that wait, until none does."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._waiters, timeout=self._poll_seconds)
                if not self._waiters:
                    self._is_polling = False
                    return
                waiters = list(self._waiters)
            try:
                self._wake(waiters)
            except Exception as error:  # noqa: BLE001 - those that wait have their time-outs; the next query may succeed
                log.warning("job_waits_failed", error=str(error), consequence="the requests wait until their time-outs")

    def _wake(self, waiters: Collection[_Waiter]) -> None:
        with self._database.autocommit() as session:
            found = {row["id"]: row for row in endings(session, [waiter.job_id for waiter in waiters])}
        for waiter in waiters:
            if _is_over(waiter, found.get(waiter.job_id)):
                waiter.ended.set()


def _is_over(waiter: _Waiter, row: DictRow | None) -> bool:
    return row is None or bool(row["is_done"] if waiter.is_stranger else row["has_ended"])
