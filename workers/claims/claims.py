"""Claims: the jobs that this worker holds, and every statement by which it takes one or gives it up."""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

import psycopg

from moneyflow.platform import failpoints
from moneyflow.platform.jobs.store import claims as store
from moneyflow.platform.jobs.store.claims import Claim, Standing
from workers.claims.connection import WorkerConnection
from workers.claims.retry import PostgresRetry

_CLAIMED = failpoints.declare("worker.claimed")
_CLAIMED_QUARANTINED = failpoints.declare("worker.claimed_quarantined")


class Claims:
    """Takes and releases jobs, however long Postgres is down, and knows which jobs this worker holds.

    `released` is called after jobs were released: the relay may publish them at once.

    Every method raises StoppingError when the worker stops while Postgres is down.
    """

    def __init__(self, connection: WorkerConnection, retry: PostgresRetry, *, released: Callable[[], object]) -> None:
        self._connection = connection
        self._retry = retry
        self._released = released
        self._lock = threading.Lock()
        self._held: set[UUID] = set()
        #: Jobs of claims whose answer was lost with the connection.
        self._unheard: set[UUID] = set()

    def claim(self, ids: Sequence[UUID]) -> list[Claim]:
        """Claim those of the jobs that can run now."""
        claimed = self._retry(lambda: self._claim(ids))
        failpoints.reach(_CLAIMED)
        return claimed

    def claim_quarantined(self, job_id: UUID) -> Claim | None:
        """Claim a job whose worker died; None when it cannot be claimed any more."""

        def claim() -> Claim | None:
            with self._connection.use() as (connection, number):
                return store.claim_quarantined(connection, job_id, worker=number)

        claimed = self._retry(claim)
        failpoints.reach(_CLAIMED_QUARANTINED)
        if claimed is not None:
            self._hold([claimed])
        return claimed

    def standing(self, job_id: UUID) -> Standing:
        """Return what follows for a job that was not claimed."""

        def ask() -> Standing:
            with self._connection.use() as (connection, _):
                return store.standing(connection, job_id)

        return self._retry(ask)

    def renew(self, claim: Claim) -> tuple[bool, bool]:
        """Extend the claim's lease; return whether the job is still held, and whether Postgres was down meanwhile."""
        attempts = 0

        def renew() -> bool:
            nonlocal attempts
            attempts += 1
            with self._connection.use() as (connection, _):
                return store.renew(connection, claim)

        return self._retry(renew), attempts > 1

    def release(self, claims: Iterable[Claim]) -> None:
        """Give up claims whose jobs have not started."""
        given_up = list(claims)

        def release() -> None:
            with self._connection.use() as (connection, _):
                store.release(connection, given_up)

        self._retry(release)
        for claim in given_up:
            self.ended(claim)
        self._released()

    def unqueue(self, job_id: UUID) -> None:
        """Let a queued job of a paused kind wait in Postgres."""

        def unqueue() -> None:
            with self._connection.use() as (connection, _):
                store.unqueue(connection, job_id)

        self._retry(unqueue)

    def reschedule(self, job_id: UUID, *, seconds: float) -> None:
        """Make a quarantined job due later."""

        def reschedule() -> None:
            with self._connection.use() as (connection, _):
                store.reschedule(connection, job_id, seconds=seconds)

        self._retry(reschedule)

    def replay(self, job_id: UUID, *, fence: int) -> bool:
        """Start a failed job again, once for each failure; False when it has left the failure of that fence."""

        def replay() -> bool:
            with self._connection.use() as (connection, _):
                return store.replay(connection, job_id, fence=fence)

        return self._retry(replay)

    def report(self, claim: Claim, progress: dict[str, Any] | None) -> bool:
        """Keep a job's progress and return whether it was asked to cancel; raises as `store.claims.report`."""
        with self._connection.use() as (connection, _):
            return store.report(connection, claim, progress)

    def ended(self, claim: Claim) -> None:
        """Record that this worker holds the job no more."""
        with self._lock:
            self._held.discard(claim.id)

    def _claim(self, ids: Sequence[UUID]) -> list[Claim]:
        with self._connection.use() as (connection, number):
            with self._lock:
                unheard = self._unheard - self._held
            if unheard:
                store.release_unheard(connection, unheard, worker=number)
            with self._lock:
                self._unheard.clear()
            try:
                claimed = store.claim(connection, ids, worker=number)
            except psycopg.OperationalError:
                with self._lock:
                    self._unheard.update(ids)  # The claim may stand, and only its answer was lost.
                raise
            self._hold(claimed)
            return claimed

    def _hold(self, claimed: Iterable[Claim]) -> None:
        with self._lock:
            self._held.update(claim.id for claim in claimed)
