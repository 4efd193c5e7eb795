"""The outage breaker: a kind whose jobs fail all alike pauses itself, lets one job a time probe, and resumes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from moneyflow.platform.database import Database, Session
from moneyflow.platform.events import warnings
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.store import control
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Failure

log = structlog.get_logger(__name__)


@dataclass
class _Streak:
    error: tuple[str, str]
    length: int = 0


class Breakers:
    """Counts identical errors in a row, for each kind, in this process.

    In this process and not in Postgres, where every job of a kind would have to write one and the same row: an outage
    meets every worker, so the first that has seen enough pauses the kind for all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._streaks: dict[str, _Streak] = {}
        #: When each kind was last paused from here, by this process's monotonic clock.
        self._paused_at: dict[str, float] = {}

    def came_before_pause(self, claim: Claim) -> bool:
        """Say whether the kind has paused itself here since the job was claimed: it would only meet the outage too."""
        return claim.claimed_at < self._paused_at.get(claim.kind, 0.0) and not claim.is_probe

    def succeeded(self, claim: Claim) -> None:
        """Note that a job of the kind has succeeded; when it was the probe, the kind goes on."""
        if claim.kind in self._streaks:
            with self._lock:
                self._streaks.pop(claim.kind, None)
        if claim.is_probe:
            self._act(lambda session: self._resume(session, claim))

    def failed(self, claim: Claim, failure: Failure) -> None:
        """Note an error that another try may mend; enough of them in a row, all alike, pause the kind."""
        contract = contracts.get(claim.kind)
        if contract is None or contract.breaker is None:
            return
        breaker = contract.breaker
        if claim.is_probe:
            self._act(lambda session: control.probe_failed(session, claim.kind, claim.id, breaker))
            return
        with self._lock:
            error = (failure.error_class, failure.group)
            streak = self._streaks.get(claim.kind)
            if streak is None or streak.error != error:
                streak = self._streaks[claim.kind] = _Streak(error)
            streak.length += 1
            if streak.length < breaker.errors:
                return
            del self._streaks[claim.kind]
        self._paused_at[claim.kind] = time.monotonic()
        self._act(lambda session: self._trip(session, claim, failure))
        self._paused_at[claim.kind] = time.monotonic()  # For those that were claimed while it was written.

    def _trip(self, session: Session, claim: Claim, failure: Failure) -> None:
        breaker = contracts[claim.kind].breaker
        assert breaker is not None
        reason = f"{breaker.errors} times in a row: {failure.error_class}: {failure.group}"
        if control.trip(session, claim.kind, reason=reason, breaker=breaker):
            log.error("kind_paused", job=claim.kind, reason=reason, next_probe_in_seconds=breaker.probe_seconds)
            told = (
                f"{claim.kind} has paused itself, {reason}. It tries one job from time to time and goes on by itself."
            )
            warnings.warn(session, code="job_kind_paused", message=told, details={"job": claim.kind})

    def _resume(self, session: Session, claim: Claim) -> None:
        if control.probe_succeeded(session, claim.kind, claim.id):
            log.warning("kind_resumed", job=claim.kind, probe=str(claim.id))
            told = f"{claim.kind} works again and goes on."
            warnings.warn(session, code="job_kind_resumed", message=told, details={"job": claim.kind})

    def _act(self, act: Callable[[Session], None]) -> None:
        """Write it down; when that fails the next error, or the next probe, tries again."""
        try:
            with self._database.transaction() as session:
                act(session)
        except Exception:
            log.exception("breaker_not_written", consequence="the next job that ends tries it again")
