"""The life of a job in a worker: claim, run, finish in one transaction with its effects, then ack.

1. A message comes in; `Window` claims its job, with all others that lie in the window, in one statement.
2. A job that was not there to be claimed is finished, held by a live worker or due later: the message is acked and
   does nothing. One whose process died is a suspect: it is claimed alone and counted before it starts.
3. The handler runs with a session. What it writes and `succeeded` commit together, where the fence is still ours.
   Jobs that wrote nothing are finished together, many in one commit.
4. An error rolls all of it back; the try is kept with its reason, and the job waits for its next due time or fails.
5. Then the message is acked, and not before. The worker publishes nothing, so no failing publish can lose a job.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from uuid import UUID

import psycopg
import structlog

from moneyflow.database import Database, is_outage, is_passing
from moneyflow.errors import FenceLostError, PermanentError, PostgresDownError
from moneyflow.jobs.base import RetryPolicy
from moneyflow.jobs.base import registry as contracts
from moneyflow.ledger import claim as claims
from moneyflow.ledger import finish
from moneyflow.ledger.claim import Claim, Standing
from moneyflow.ledger.finish import Success
from moneyflow.telemetry import metrics
from moneyflow.telemetry.origin import Origin, working_for
from workers.broker import Delivery, Verdict
from workers.finisher import Finisher
from workers.gate import Gate
from workers.handlers import Context, Handler, Result, Tools
from workers.outcome import Fail, Redactor, decide
from workers.presence import Presence
from workers.window import Window

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: A claim that lay in the window for longer gets its lease anew before its job starts.
_FRESH_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 2.0


class StoppingError(Exception):
    """The worker stops while Postgres is away: the message stays unsettled and is delivered again elsewhere."""


class Runtime:
    """Runs the jobs of one worker process; `run` is called by each of its threads."""

    def __init__(
        self,
        *,
        database: Database,
        presence: Presence,
        handlers: Mapping[str, Handler],
        tools: Tools,
    ) -> None:
        self._database = database
        self._presence = presence
        self._handlers = handlers
        self._tools = tools
        self._redactor = Redactor(tools.settings)
        self._gate = Gate()
        self._stopping = threading.Event()
        self._finisher = Finisher(self._succeed_many)
        self.window = Window(self._claim_many)

    def run(self, delivery: Delivery) -> None:
        """Do what the delivery asks for, and set its verdict."""
        try:
            verdict = self._settle(delivery)
        except StoppingError:
            return
        except Exception:
            # A bug outside of any handler. The row decides: its lease ends, or its message is missed; either way the
            # relay publishes it again. A message that nobody settles would take a place in the window for ever.
            log.exception("unexpected_error", job_id=str(delivery.job_id))
            verdict = Verdict.ACK
        delivery.verdict = verdict

    def stop(self) -> None:
        """Let no thread wait for Postgres any longer, and hand back what none has started."""
        self._stopping.set()
        unstarted = self.window.drain()
        if unstarted:
            try:
                with self._presence.acting() as (connection, _):
                    claims.hand_back(connection, unstarted)
                log.info("handed_back", jobs=len(unstarted))
            except psycopg.Error as error:
                log.warning("hand_back_failed", error=str(error), consequence="they are taken over from this worker")

    def _settle(self, delivery: Delivery) -> Verdict:
        claim = self._patiently(lambda: self.window.take(delivery))
        while True:
            if claim is not None and self._run_claimed(claim):
                return Verdict.ACK
            standing = self._patiently(lambda: self._standing(delivery))
            if standing is Standing.UNKNOWN:
                log.error("unknown_job", job_id=str(delivery.job_id), consequence="its message is on jobs_failed now")
                return Verdict.REJECT
            if standing is Standing.SETTLED:
                return Verdict.ACK
            if standing is Standing.SUSPECT:
                self._run_suspect(delivery)
                claim = None
            else:
                self.window.arrived(delivery)
                claim = self._patiently(lambda: self.window.take(delivery))

    def _run_claimed(self, claim: Claim) -> bool:
        claimed_at = time.monotonic()
        with self._gate.together():
            if time.monotonic() - claimed_at > _FRESH_SECONDS and not self._patiently(lambda: self._renew(claim)):
                return False
            return self._attempt(claim)

    def _run_suspect(self, delivery: Delivery) -> None:
        with self._gate.alone():
            claim = self._patiently(lambda: self._claim_suspect(delivery))
            if claim is not None:
                self._attempt(claim)

    def _attempt(self, claim: Claim) -> bool:
        """Run the job to the end of this try; False when it was taken over meanwhile."""
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        fields = {"job_id": str(claim.id), "job": claim.kind, "attempt": claim.attempt}
        with working_for(origin, **fields):
            try:
                self._patiently(lambda: self._timed(claim))
            except FenceLostError as error:
                log.warning("fence_lost", detail=error.detail)
                metrics.jobs_finished.labels(claim.kind, "fence_lost").inc()
                return False
        return True

    def _timed(self, claim: Claim) -> None:
        """Run the handler once, and write how it ended."""
        metrics.job_wait_seconds.labels(claim.kind, str(claim.priority)).observe(max(claim.wait_seconds, 0))
        started = time.monotonic()
        try:
            outcome = self._execute(claim)
        except (FenceLostError, StoppingError):
            raise
        except Exception as error:
            if is_outage(error):
                raise
            outcome = self._patiently(partial(self._give_up, claim, error))
        seconds = time.monotonic() - started
        metrics.job_run_seconds.labels(claim.kind).observe(seconds)
        metrics.jobs_finished.labels(claim.kind, outcome).inc()
        log.info("job_ended", outcome=outcome, seconds=round(seconds, 4))

    def _execute(self, claim: Claim) -> str:
        """Run the handler: its effects and the end of its job are one transaction."""
        if claim.attempt > claim.max_attempts:
            raise PermanentError(f"the process that ran it died, {claim.max_attempts} times and once more")
        contract, handler = contracts.get(claim.kind), self._handlers.get(claim.kind)
        if contract is None or handler is None:
            raise PermanentError(f"no handler for {claim.kind} here: deploy workers that know it, then replay the job")
        payload = contract.from_payload(claim.payload, claim.version)
        with self._database.transaction() as session:
            context = Context(session=session, job_id=claim.id, attempt=claim.attempt, tools=self._tools)
            result: Result = handler(context, payload)
            success = Success(claim=claim, result=result)
            writes = not session.is_untouched
            if writes:
                finish.succeed(session, success, worker=self._presence.name)
        if not writes:
            self._patiently(partial(self._finisher.succeed, success))  # And not the handler once more.
        return "succeeded"

    def _give_up(self, claim: Claim, error: Exception) -> str:
        """Write that this try failed, and what follows."""
        contract = contracts.get(claim.kind)
        decision = decide(error, claim, contract.retry if contract else RetryPolicy())
        failure = self._redactor.tell(error)
        with self._database.transaction() as session:
            if isinstance(decision, Fail):
                finish.fail(session, claim, failure, worker=self._presence.name)
            else:
                finish.retry(session, claim, failure, worker=self._presence.name, wait_seconds=decision.seconds)
        outcome = "failed" if isinstance(decision, Fail) else "retried"
        log.warning("job_failed", outcome=outcome, error_class=failure.error_class, error=failure.message)
        return outcome

    def _patiently(self, act: Callable[[], T]) -> T:
        """Act, and again while Postgres is away or cannot now: with nothing written down, nothing may be settled."""
        wait = 0.05
        while True:
            try:
                return act()
            except (psycopg.Error, PostgresDownError) as error:
                if not is_passing(error):
                    raise
                log.warning("waiting_for_postgres", error=str(error), seconds=wait)
            if self._stopping.wait(wait):
                raise StoppingError
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _succeed_many(self, successes: Sequence[Success]) -> set[UUID]:
        with self._database.transaction() as session:
            return finish.succeed_many(session, successes, worker=self._presence.name)

    def _claim_many(self, ids: Sequence[UUID]) -> list[Claim]:
        with self._presence.acting() as (connection, number):
            return claims.claim_window(connection, ids, worker=number)

    def _claim_suspect(self, delivery: Delivery) -> Claim | None:
        with self._presence.acting() as (connection, number):
            return claims.claim_suspect(connection, delivery.job_id, worker=number)

    def _standing(self, delivery: Delivery) -> Standing:
        with self._presence.acting() as (connection, _):
            return claims.standing(connection, delivery.job_id)

    def _renew(self, claim: Claim) -> bool:
        with self._presence.acting() as (connection, _):
            return claims.renew(connection, claim)
