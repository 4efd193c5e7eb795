"""One try of a claimed job: the handler runs, and how it ended is written where the fence is still ours."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import structlog

from moneyflow.database import Database, is_outage
from moneyflow.errors import FenceLostError, PermanentError
from moneyflow.jobs.base import RetryPolicy
from moneyflow.jobs.base import registry as contracts
from moneyflow.ledger import claim as claims
from moneyflow.ledger import finish
from moneyflow.ledger.claim import Claim
from moneyflow.ledger.finish import Success
from moneyflow.telemetry import metrics
from moneyflow.telemetry.origin import Origin, working_for
from workers.finisher import Finisher
from workers.handlers import Context, Handler, Result, Tools
from workers.outcome import Fail, Redactor, decide
from workers.patience import Patience, StoppingError
from workers.presence import Presence

log = structlog.get_logger(__name__)

#: How often a try that Postgres interrupted by going away begins anew without being counted.
_INTERRUPTIONS = 5
#: How long a job may overrun its time limit before it is said to hang.
_HANGING_SECONDS = 10.0


class HandlerExitError(Exception):
    """A handler raised what is meant to end a process or a thread, such as SystemExit; it ends its try and no more."""


class Attempts:
    """Runs tries for the threads of one worker, and knows which of them run right now."""

    def __init__(
        self,
        *,
        database: Database,
        presence: Presence,
        handlers: Mapping[str, Handler],
        tools: Tools,
        patience: Patience,
    ) -> None:
        self._database = database
        self._presence = presence
        self._handlers = handlers
        self._tools = tools
        self._patiently = patience
        self._redactor = Redactor(tools.settings)
        self._finisher = Finisher(self._succeed_many)
        self._running: dict[int, tuple[Claim, float]] = {}

    def run(self, claim: Claim) -> bool:
        """Run the job to the end of this try; False when it was taken over meanwhile."""
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        fields = {"job_id": str(claim.id), "job": claim.kind, "attempt": claim.attempt}
        self._running[threading.get_ident()] = (claim, time.monotonic())
        with working_for(origin, **fields):
            try:
                self._timed(claim)
            except FenceLostError as error:
                log.warning("fence_lost", detail=error.detail)
                metrics.jobs_finished.labels(claim.kind, "fence_lost").inc()
                return False
            finally:
                del self._running[threading.get_ident()]
        return True

    def overdue(self) -> Claim | None:
        """Return a job that runs for much longer than its time limit: it hangs, and its thread with it."""
        now = time.monotonic()
        for claim, started in list(self._running.values()):
            if now - started > claim.time_limit_seconds + _HANGING_SECONDS:
                return claim
        return None

    def renew(self, claim: Claim) -> bool:
        """Begin the claim's lease anew, however long Postgres is away; False when the job was taken over."""
        return self._patiently(partial(self._renew_now, claim))

    def _timed(self, claim: Claim) -> None:
        """Run the handler, and write how it ended."""
        wait_seconds = claim.wait_seconds + time.monotonic() - claim.claimed_at
        metrics.job_wait_seconds.labels(claim.kind, str(claim.priority)).observe(max(wait_seconds, 0))
        started = time.monotonic()
        outcome = self._until_ended(claim)
        seconds = time.monotonic() - started
        metrics.job_run_seconds.labels(claim.kind).observe(seconds)
        metrics.jobs_finished.labels(claim.kind, outcome).inc()
        log.info("job_ended", outcome=outcome, seconds=round(seconds, 4))

    def _until_ended(self, claim: Claim) -> str:
        """Run the handler once; once more only where Postgres was away and the job is still ours."""
        for _ in range(_INTERRUPTIONS):
            try:
                return self._execute(claim)
            except (FenceLostError, StoppingError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its try
                if not is_outage(error):
                    return self._patiently(partial(self._give_up, claim, error))
                interrupted, was_away = error, self._wait_for_postgres(claim)
            except BaseException as error:  # noqa: BLE001 - a handler may end its try, never a thread
                wrapped = HandlerExitError(f"the handler raised {error!r}")
                wrapped.__cause__ = error
                return self._patiently(partial(self._give_up, claim, wrapped))
            if not was_away:
                break  # It answers at once: the handler itself loses its connection, and that counts.
        return self._patiently(partial(self._give_up, claim, interrupted))

    def _wait_for_postgres(self, claim: Claim) -> bool:
        """Wait until Postgres answers and the job is seen to be ours still; True when it was away."""
        asked = 0

        def act() -> bool:
            nonlocal asked
            asked += 1
            return self._renew_now(claim)

        if not self._patiently(act):
            raise FenceLostError(f"job {claim.id} was taken over from fence {claim.fence} while Postgres was away")
        return asked > 1

    def _renew_now(self, claim: Claim) -> bool:
        with self._presence.acting() as (connection, _):
            return claims.renew(connection, claim)

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

    def _succeed_many(self, successes: Sequence[Success]) -> set[UUID]:
        with self._database.transaction() as session:
            return finish.succeed_many(session, successes, worker=self._presence.name)
