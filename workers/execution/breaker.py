"""Circuit breaker: a kind whose jobs all meet one outage pauses itself, probes with one job at a time, and resumes."""

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
    """Counts identical outages in a row, for each kind, in this process.

    In this process and not in Postgres, where every job of a kind would have to write the same row: an outage meets
    every worker, so the first that has seen enough pauses the kind for all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._streaks: dict[str, _Streak] = {}
        #: When this process last paused each kind, by its monotonic clock; single reads need no lock.
        self._paused_at: dict[str, float] = {}

    def came_before_pause(self, claim: Claim) -> bool:
        """Return whether this process paused the kind after the claim: the job would only meet the same outage."""
        return claim.claimed_at < self._paused_at.get(claim.kind, 0.0) and not claim.is_probe

    def succeeded(self, claim: Claim) -> None:
        """Record that a job of the kind succeeded; the success of the probe resumes the kind."""
        if claim.kind in self._streaks:  # PERF: no lock for the usual case, in which there is none.
            with self._lock:
                self._streaks.pop(claim.kind, None)
        if claim.is_probe:
            self._write(lambda session: self._resume(session, claim))

    def failed(self, claim: Claim, failure: Failure) -> None:
        """Record an outage; enough of them in a row, all alike, pause the kind."""
        contract = contracts.get(claim.kind)
        if contract is None or contract.breaker is None:
            return
        breaker = contract.breaker
        if claim.is_probe:
            self._write(lambda session: control.probe_failed(session, claim.kind, claim.id, breaker))
            return
        if not self._is_tripped(claim, failure, errors=breaker.errors):
            return
        self._paused_at[claim.kind] = time.monotonic()
        self._write(lambda session: self._trip(session, claim, failure))
        self._paused_at[claim.kind] = time.monotonic()  # Of jobs that were claimed while it was written.

    def probe_was_inconclusive(self, claim: Claim) -> None:
        """Record that the probe ended by an error of its own or was put off: another job probes the kind at once."""
        self._write(lambda session: control.probe_inconclusive(session, claim.kind, claim.id))

    def _is_tripped(self, claim: Claim, failure: Failure, *, errors: int) -> bool:
        error = (failure.error_class, failure.group)
        with self._lock:
            streak = self._streaks.get(claim.kind)
            if streak is None or streak.error != error:
                streak = self._streaks[claim.kind] = _Streak(error)
            streak.length += 1
            if streak.length < errors:
                return False
            del self._streaks[claim.kind]
            return True

    def _trip(self, session: Session, claim: Claim, failure: Failure) -> None:
        breaker = contracts[claim.kind].breaker
        assert breaker is not None
        reason = f"{breaker.errors} times in a row: {failure.error_class}: {failure.group}"
        if control.trip(session, claim.kind, reason=reason, breaker=breaker):
            log.error("kind_paused", job=claim.kind, reason=reason, next_probe_in_seconds=breaker.probe_seconds)
            message = f"{claim.kind} has paused itself, {reason}. It probes with one job at a time and resumes then."
            warnings.warn(
                session, code="job_kind_paused", message=message, subject=claim.kind, details={"job": claim.kind}
            )

    def _resume(self, session: Session, claim: Claim) -> None:
        if control.probe_succeeded(session, claim.kind, claim.id):
            log.warning("kind_resumed", job=claim.kind, probe=str(claim.id))
            message = f"{claim.kind} works again and has resumed."
            warnings.warn(
                session, code="job_kind_resumed", message=message, subject=claim.kind, details={"job": claim.kind}
            )

    def _write(self, write: Callable[[Session], None]) -> None:
        """Write it; when that fails, the next error or the next probe writes it."""
        try:
            with self._database.transaction() as session:
                write(session)
        except Exception:
            log.exception("breaker_not_written", consequence="the next attempt that ends writes it")
