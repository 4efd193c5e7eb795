"""Runtime: the story of one delivery in a worker, from its claim to its ack.

1. A delivery comes in; the claim buffer claims its job, with all others that wait, in one statement.
2. A job that could not be claimed is finished, held by a live worker, or due later: the delivery is acked and does
   nothing. One whose worker died is quarantined: it is claimed alone, and its attempt is counted before it starts. A
   dead letter that was moved to `jobs` starts its job again, once.
3. The handler runs in a transaction (`execution/`). Its effects and `succeeded` commit together, where the fence still
   holds. Jobs that touched no table end together, many in one commit.
4. An error rolls everything back; the attempt is kept with its error, and the job is due again later or has failed.
5. Then the delivery is acked, and not before. A worker publishes nothing, so no failing publish can lose a job.
"""

import threading
import time
from functools import partial

import psycopg
import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.events.reporter import ReportError
from moneyflow.platform.jobs.store.claims import Claim, Standing
from workers.claims.claims import Claims
from workers.claims.lock import IsolationLock
from workers.claims.retry import PostgresRetry, StoppingError
from workers.execution.executor import Executor
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery, Verdict
from workers.intake.refusals import Refusals

log = structlog.get_logger(__name__)

_REPLAYED = failpoints.declare("worker.replayed")

#: A claim that waited in the buffer for longer than this many seconds, or this part of its time limit, is renewed.
_FRESH_SECONDS = 5.0
_FRESH_PART = 0.25
#: Seconds that a quarantined job waits until no other job runs here, and until it comes again when that was in vain.
_ALONE_SECONDS = 10.0
_RESCHEDULE_SECONDS = 15.0
#: Seconds that a stopping worker waits for successes to be written.
_LAST_WRITE_SECONDS = 10.0
#: Seconds until a row that another transaction has locked is claimed again: the relay holds it for a moment.
_LOCKED_SECONDS = 0.002
_LONGEST_LOCKED_SECONDS = 0.2


class Runtime:
    """Settles the deliveries of one worker process; each of its threads calls `run`."""

    def __init__(
        self,
        *,
        buffer: ClaimBuffer,
        claims: Claims,
        executor: Executor,
        retry: PostgresRetry,
        refusals: Refusals | None = None,
        report_error: ReportError = lambda _: None,
    ) -> None:
        self._report_error = report_error
        self._refusals = refusals or Refusals()
        self._buffer = buffer
        self._claims = claims
        self._executor = executor
        self._retry = retry
        self._lock = IsolationLock()

    def run(self, delivery: Delivery) -> None:
        """Do what the delivery asks for, and settle it."""
        try:
            with self._buffer.in_hand(delivery):
                self._run(delivery)
        except StoppingError:
            return  # Not settled: RabbitMQ delivers it again when this consumer is closed.
        except Exception as error:
            # A bug outside of any handler. The row decides: its lease ends, or its message is missed, and the relay
            # publishes it again. A delivery that is never settled would take a place of the prefetch for ever.
            log.exception("unexpected_error", job_id=str(delivery.job_id))
            self._report_error(error)
            self._buffer.forget(delivery)
            delivery.settle(Verdict.ACK)

    @property
    def usual_seconds(self) -> float | None:
        """Return how many seconds a job has taken lately."""
        return self._executor.usual_seconds

    def running(self) -> int:
        """Return how many jobs run."""
        return self._executor.running()

    def is_closed(self) -> bool:
        """Return whether a quarantined job runs, or waits to run, alone."""
        return self._lock.is_closed()

    def give_back(self) -> None:
        """Let other workers have what no thread has started, in a thread: the caller does not wait for Postgres."""
        threading.Thread(target=self._give_back, name="give back", daemon=True).start()

    def stop(self) -> None:
        """Write the successes that wait, end every wait for Postgres, and give back what no thread has started."""
        self._executor.completer.wait_until_written(_LAST_WRITE_SECONDS)
        self._retry.stop()
        self._give_back()

    def _run(self, delivery: Delivery) -> None:
        pause_seconds = _LOCKED_SECONDS
        while not delivery.is_settled:
            claim = self._buffer.take(delivery)
            if claim is not None:
                self._run_claimed(claim, delivery)
                return
            if delivery.is_settled:
                return
            if delivery.is_best_effort and pause_seconds == _LONGEST_LOCKED_SECONDS:
                # Its message waits for the row: one thread is enough. It is dropped before it is in the buffer again,
                # where another thread may claim its job at any moment.
                return
            if self._settle_unclaimed(delivery):
                return
            self._retry.pause(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_LOCKED_SECONDS)

    def _run_claimed(self, claim: Claim, delivery: Delivery) -> None:
        done = partial(delivery.settle, Verdict.ACK)
        with self._lock:
            fresh_seconds = min(_FRESH_SECONDS, _FRESH_PART * claim.time_limit_seconds)
            if self._executor.is_pointless(claim):
                self._claims.release([claim])
                done()
            elif time.monotonic() - claim.claimed_at > fresh_seconds and not self._claims.renew(claim)[0]:
                self._claims.ended(claim)  # Another worker has the job, and a delivery of its own.
                done()
            else:
                self._executor.run(claim, done=done)

    def _settle_unclaimed(self, delivery: Delivery) -> bool:
        """Settle a delivery whose job was not claimed; return False when the job is to be claimed again."""
        standing = self._claims.standing(delivery.job_id)
        if delivery.is_best_effort and standing is not Standing.CLAIMABLE:
            return True  # As of a kind that is paused: its message decides.
        match standing:
            case Standing.CLAIMABLE if not self._buffer.is_duplicate(delivery):
                self._buffer.arrived(delivery)
                return False
            case Standing.CLAIMABLE:
                pass  # The relay publishes a locked job again each second: one thread that waits for it is enough.
            case Standing.QUARANTINED:
                return self._run_quarantined(delivery)
            case Standing.UNKNOWN:
                self._refusals.add(reason="unknown_job", detail=f"there is no job {delivery.job_id}")
                delivery.settle(Verdict.REJECT)
                return True
            case Standing.FAILED:
                self._replay(delivery)
            case Standing.PAUSED:
                self._claims.unqueue(delivery.job_id)
            case Standing.SETTLED:
                pass
        delivery.settle(Verdict.ACK)
        return True

    def _run_quarantined(self, delivery: Delivery) -> bool:
        """Run a quarantined job alone, or later; return False when it could not be claimed any more."""
        with self._lock.alone(wait_seconds=_ALONE_SECONDS) as is_alone:
            if is_alone:
                claim = self._claims.claim_quarantined(delivery.job_id)
                if claim is None:
                    return False
                self._executor.run(claim, done=partial(delivery.settle, Verdict.ACK), hand_over=False)
                return True
        self._claims.reschedule(delivery.job_id, seconds=_RESCHEDULE_SECONDS)
        log.info("quarantined_job_rescheduled", job_id=str(delivery.job_id), seconds=_RESCHEDULE_SECONDS)
        delivery.settle(Verdict.ACK)
        return True

    def _replay(self, delivery: Delivery) -> None:
        """Start a failed job again when this is its dead letter; any other message of it is stale."""
        if delivery.dead_letter_fence is None:
            return
        is_replayed = self._claims.replay(delivery.job_id, fence=delivery.dead_letter_fence)
        failpoints.reach(_REPLAYED)
        log.warning("job_replayed" if is_replayed else "replay_refused", job_id=str(delivery.job_id))

    def _give_back(self) -> None:
        deliveries, claims = self._buffer.give_back()
        if not claims:
            return
        try:
            self._claims.release(claims)
        except (psycopg.Error, StoppingError) as error:
            log.warning("release_failed", error=str(error), jobs=len(claims), consequence="the relay rescues them")
            return
        for delivery in deliveries:
            delivery.settle(Verdict.ACK)
        log.info("claims_released", jobs=len(claims))
