"""Completion: writes how attempts end, each end from one value, and lets the breakers count them."""

import traceback
from collections.abc import Sequence
from uuid import UUID

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database, is_transient
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.events.reporter import ReportError
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.store import completion as store
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import End, Failure, Outcome, Success
from workers.execution.breaker import Breakers
from workers.execution.redaction import Redactor
from workers.outcome import decide

log = structlog.get_logger(__name__)

_BEFORE_FAILURE = failpoints.declare("worker.before_failure")
_FAILURE_WRITTEN = failpoints.declare("worker.failure_written")

#: What is kept of an attempt whose own end cannot be written.
_NOT_WRITTEN = Failure(
    error_class="EndNotWrittenError",
    message="the attempt failed, and its error could not be written as it was raised: "
    "look for `end_not_written` in the worker's log",
    group="the attempt failed, and its error could not be written as it was raised",
)


class Completion:
    """Writes ends. `database` is for one end, `batches` for many successes in one statement.

    `report_error` is called with each error that is a bug, once the attempt's end is written; it returns at once.
    """

    def __init__(
        self,
        database: Database,
        *,
        batches: Database,
        redactor: Redactor,
        worker: str,
        report_error: ReportError = lambda _: None,
    ) -> None:
        self._database = database
        self._batches = batches
        self._redactor = redactor
        self._worker = worker
        self._report_error = report_error
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

    def fail(self, claim: Claim, error: BaseException) -> Outcome:
        """Write the end of an attempt that raised, and return its outcome.

        When that end cannot be written, or not even be decided, and Postgres answers, a plain one is written: without
        an end the job would run again when its lease ends, and its history would not say why.

        Raises:
            FenceLostError: another worker has taken the job over.
            psycopg.OperationalError, PostgresDownError: an outage; call again.
        """
        try:
            end, failure = self._decided(claim, error)
        except BaseException as unreadable:  # noqa: BLE001 - an error's text is code of its own, which may raise all
            return self._end_plainly(claim, unreadable)
        try:
            outcome = self._end(claim, end, failure)
        except FenceLostError:
            raise
        except Exception as refused:
            if is_transient(refused):
                raise
            return self._end_plainly(claim, refused)
        if end.is_bug:
            self._report_error(error)
        return outcome

    def _decided(self, claim: Claim, error: BaseException) -> tuple[End, Failure]:
        contract = contracts.get(claim.kind)
        policy, breaker = (contract.retry, contract.breaker) if contract else (RetryPolicy(), None)
        return decide(error, claim, policy, breaker), self._redactor.failure(error)

    def _end_plainly(self, claim: Claim, reason: BaseException) -> Outcome:
        """Write the last resort: another attempt, if the job has one left, with a text that is always the same."""
        if claim.attempt >= claim.max_attempts:
            end = End(outcome=Outcome.FAILED)
        else:
            end = End(outcome=Outcome.RETRIED, wait_seconds=RetryPolicy().wait_seconds(claim.attempt))
        outcome = self._end(claim, end, _NOT_WRITTEN)
        self._report_error(reason)
        # Only the lines of code: to show the values, among them the error, may raise again.
        frames = "".join(traceback.format_tb(reason.__traceback__, limit=-3))
        log.error("end_not_written", reason=type(reason).__qualname__, frames=frames, instead="a plain end was written")
        return outcome

    def _end(self, claim: Claim, end: End, failure: Failure) -> Outcome:
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
