"""The life of a job in a worker: claim, run, finish in one transaction with its effects, then ack.

1. A message comes in; `Window` claims its job, with all others that lie in the window, in one statement.
2. A job that was not there to be claimed is finished, held by a live worker or due later: the message is acked and
   does nothing. One whose process died is a suspect: it is claimed alone and counted before it starts. A dead letter
   that somebody moved here puts its job back to the beginning, once.
3. The handler runs with a session (`attempt.py`). What it writes and `succeeded` commit together, where the fence is
   still ours. Jobs that wrote nothing are finished together, many in one commit.
4. An error rolls all of it back; the try is kept with its reason, and the job waits for its next due time or fails.
5. Then the message is acked, and not before. The worker publishes nothing, so no failing publish can lose a job.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import psycopg
import structlog

from moneyflow.database import Database
from moneyflow.ledger import claim as claims
from moneyflow.ledger.claim import Claim, Standing
from workers.attempt import Attempts
from workers.broker import Delivery, Verdict
from workers.gate import Gate
from workers.handlers import Handler, Tools
from workers.patience import Patience, StoppingError
from workers.presence import Presence
from workers.window import Window

log = structlog.get_logger(__name__)

#: A claim that lay in the window for longer, or for this part of its time limit, gets its lease anew before it starts.
_FRESH_SECONDS = 5.0
_FRESH_PART = 0.25
#: A suspect waits for so long until nothing runs beside it; then the others go on, and it comes again later.
_ALONE_SECONDS = 10.0
_COME_AGAIN_SECONDS = 15.0
#: A row that somebody else has locked is asked for again after this.
_LOCKED_SECONDS = 0.2


class Runtime:
    """Settles the deliveries of one worker process; `run` is called by each of its threads."""

    def __init__(
        self,
        *,
        database: Database,
        presence: Presence,
        handlers: Mapping[str, Handler],
        tools: Tools,
    ) -> None:
        self._presence = presence
        self._gate = Gate()
        self._patiently = Patience()
        self.attempts = Attempts(
            database=database, presence=presence, handlers=handlers, tools=tools, patience=self._patiently
        )
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
            self.window.forget(delivery)
            verdict = Verdict.ACK
        delivery.verdict = verdict

    def stop(self) -> None:
        """Let no thread wait for Postgres any longer, and hand back what none has started."""
        self._patiently.end()
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
            claim = None
            match self._patiently(lambda: self._standing(delivery)):
                case Standing.UNKNOWN:
                    log.error("unknown_job", job_id=str(delivery.job_id), consequence="its message is on jobs_failed")
                    return Verdict.REJECT
                case Standing.FAILED:
                    return self._patiently(lambda: self._replay(delivery))
                case Standing.SETTLED:
                    return Verdict.ACK
                case Standing.SUSPECT:
                    self._run_suspect(delivery)
                case Standing.WAITING:
                    self.window.arrived(delivery)
                    claim = self._patiently(lambda: self.window.take(delivery))
            if claim is None:
                self._patiently.pause(_LOCKED_SECONDS)

    def _run_claimed(self, claim: Claim) -> bool:
        with self._gate.together():
            fresh_seconds = min(_FRESH_SECONDS, _FRESH_PART * claim.time_limit_seconds)
            if time.monotonic() - claim.claimed_at > fresh_seconds and not self.attempts.renew(claim):
                return False
            return self.attempts.run(claim)

    def _run_suspect(self, delivery: Delivery) -> None:
        with self._gate.alone(wait_seconds=_ALONE_SECONDS) as is_alone:
            if not is_alone:
                self._patiently(partial(self._postpone, delivery))
                log.info("suspect_postponed", job_id=str(delivery.job_id), seconds=_COME_AGAIN_SECONDS)
                return
            claim = self._patiently(lambda: self._claim_suspect(delivery))
            if claim is not None:
                self.attempts.run(claim)

    def _replay(self, delivery: Delivery) -> Verdict:
        """Put a failed job back to its beginning when this is its dead letter; any other message only came late."""
        if delivery.letter_fence is None:
            return Verdict.ACK
        with self._presence.acting() as (connection, _):
            replayed = claims.replay(connection, delivery.job_id, fence=delivery.letter_fence)
        log.warning("replayed" if replayed else "replay_refused", job_id=str(delivery.job_id))
        return Verdict.ACK

    def _claim_many(self, ids: Sequence[UUID]) -> list[Claim]:
        with self._presence.acting() as (connection, number):
            return claims.claim_window(connection, ids, worker=number)

    def _claim_suspect(self, delivery: Delivery) -> Claim | None:
        with self._presence.acting() as (connection, number):
            return claims.claim_suspect(connection, delivery.job_id, worker=number)

    def _postpone(self, delivery: Delivery) -> None:
        with self._presence.acting() as (connection, _):
            claims.postpone(connection, delivery.job_id, seconds=_COME_AGAIN_SECONDS)

    def _standing(self, delivery: Delivery) -> Standing:
        with self._presence.acting() as (connection, _):
            return claims.standing(connection, delivery.job_id)
