"""Completion: writes how attempts end, each end from one value, and lets the breakers count them."""

from collections.abc import Sequence
from uuid import UUID

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.store import completion as store
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Outcome, Success
from workers.execution.breaker import Breakers
from workers.execution.redaction import Redactor
from workers.outcome import decide

log = structlog.get_logger(__name__)

_BEFORE_FAILURE = failpoints.declare("worker.before_failure")
_FAILURE_WRITTEN = failpoints.declare("worker.failure_written")


class Completion:
    """Writes ends. `database` is for one end, `batches` for many successes in one statement."""

    def __init__(self, database: Database, *, batches: Database, redactor: Redactor, worker: str) -> None:
        self._database = database
        self._batches = batches
        self._redactor = redactor
        self._worker = worker
        self._breakers = Breakers(database)

    def succeed_many(self, successes: Sequence[Success]) -> set[UUID]:
        """Write successes of jobs that touched no table, in one statement; return the ids whose fences held."""
        with self._batches.autocommit() as session:
            if any(success.claim.limit_name is not None for success in successes):
                session.notify_after_commit()
            return store.succeed_many(session, successes, worker=self._worker)

    def succeeded(self, claim: Claim) -> None:
        """Record a success that is committed."""
        self._breakers.succeeded(claim)

    def is_pointless(self, claim: Claim) -> bool:
        """Return whether the job's kind paused itself after the claim."""
        return self._breakers.came_before_pause(claim)

    def fail(self, claim: Claim, error: Exception) -> Outcome:
        """Write the end of an attempt that raised, and return its outcome.

        Raises:
            FenceLostError: another worker has taken the job over.
        """
        contract = contracts.get(claim.kind)
        policy, breaker = (contract.retry, contract.breaker) if contract else (RetryPolicy(), None)
        end = decide(error, claim, policy, breaker)
        failure = self._redactor.failure(error)
        failpoints.reach(_BEFORE_FAILURE)
        with self._database.transaction() as session:
            store.end(session, claim, end, failure, worker=self._worker)
        failpoints.reach(_FAILURE_WRITTEN)
        if end.outcome in {Outcome.RETRIED, Outcome.FAILED}:
            log.warning("job_failed", outcome=end.outcome, error_class=failure.error_class, error=failure.message)
        else:
            log.info("job_deferred", outcome=end.outcome, reason=failure.message)
        if end.counts_for_breaker:
            self._breakers.failed(claim, failure)
        elif claim.is_probe:
            self._breakers.probe_was_inconclusive(claim)
        return end.outcome
