"""The life of a job in a worker: claim, run, finish in one transaction with its effects, then ack.

1. A message comes in; `ClaimBuffer` claims its job, with all others that lie in the window, in one statement.
2. A job that was not there to be claimed is finished, held by a live worker or due later: the message is acked and
   does nothing. One whose process died is a suspect: it is claimed alone and counted before it starts. A dead letter
   that somebody moved here puts its job back to the beginning, once.
3. The handler runs with a session (`attempt.py`). What it writes and `succeeded` commit together, where the fence is
   still ours. Jobs that wrote nothing are finished together, many in one commit.
4. An error rolls all of it back; the try is kept with its reason, and the job waits for its next due time or fails.
5. Then the message is acked, and not before. The worker publishes nothing, so no failing publish can lose a job.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import psycopg
import structlog

from moneyflow.platform.database import Database
from moneyflow.platform.failpoints import reach
from moneyflow.platform.jobs.store import claims
from moneyflow.platform.jobs.store.claims import Claim, Standing
from workers.claims.heartbeat import Heartbeat
from workers.claims.lock import SharedLock
from workers.claims.retry import PostgresRetry, StoppingError
from workers.execution.executor import Executor, Settled
from workers.handlers import Handlers, Tools
from workers.intake.acks import Verdict
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery

log = structlog.get_logger(__name__)

#: A claim that lay in the window for longer, or for this part of its time limit, gets its lease anew before it starts.
_FRESH_SECONDS = 5.0
_FRESH_PART = 0.25
#: A suspect waits for so long until nothing runs beside it; then the others go on, and it comes again later.
_ALONE_SECONDS = 10.0
_COME_AGAIN_SECONDS = 15.0
#: When the worker stops: for so long the ends of jobs that have run are waited for.
_LAST_WRITE_SECONDS = 10.0
#: A row that somebody else has locked is asked for again after this, then after twice as long: the relay, which marks
#: what it has published, lets go of it within a moment.
_LOCKED_SECONDS = 0.002
_LONGEST_LOCKED_SECONDS = 0.2


class Runtime:
    """Settles the deliveries of one worker process; `run` is called by each of its threads.

    `database` is for the handlers; `finishes` for the ends of jobs that wrote nothing.
    """

    def __init__(
        self,
        *,
        database: Database,
        finishes: Database,
        presence: Heartbeat,
        handlers: Handlers,
        tools: Tools,
    ) -> None:
        self._presence = presence
        self._gate = SharedLock()
        self._patiently = PostgresRetry()
        self.attempts = Executor(
            database=database,
            finishes=finishes,
            presence=presence,
            handlers=handlers,
            tools=tools,
            patience=self._patiently,
        )
        self.window = ClaimBuffer(self._claim_many)
        self._busy: dict[int, Delivery] = {}
        self._freed = threading.Event()
        #: Of claims whose answers were lost with the connection.
        self._unheard: set[UUID] = set()

    def start(self) -> None:
        """Begin to write the ends that are handed over."""
        self.attempts.finisher.start()

    def run(self, delivery: Delivery) -> None:
        """Do what the delivery asks for, and set its verdict."""
        if delivery.is_given_back:
            return
        try:
            self._busy[threading.get_ident()] = delivery
            verdict = self._settle(delivery)
        except StoppingError:
            return
        except Exception:
            # A bug outside of any handler. The row decides: its lease ends, or its message is missed; either way the
            # relay publishes it again. A message that nobody settles would take a place in the window for ever.
            log.exception("unexpected_error", job_id=str(delivery.job_id))
            self.window.forget(delivery)
            verdict = Verdict.ACK
        finally:
            self._busy.pop(threading.get_ident(), None)
            self._freed.set()
        delivery.verdict = verdict

    @property
    def usual_seconds(self) -> float | None:
        """Return how long a job has taken of late."""
        return self.attempts.usual_seconds

    def running(self) -> int:
        """Return how many jobs run right now."""
        return self.attempts.running()

    def busy(self) -> int:
        """Return how many threads have a delivery in hand."""
        return len(self._busy)

    def busy_without_message(self) -> int:
        """Return how many of them have one without a message."""
        return sum(not delivery.has_message for delivery in list(self._busy.values()))

    def is_closed(self) -> bool:
        """Say whether what is begun now waits for a suspect that runs alone."""
        return self._gate.is_closed()

    def wait_until_freed(self, seconds: float) -> None:
        """Wait until a thread is done with its delivery, or so long."""
        self._freed.wait(seconds)
        self._freed.clear()

    def stop(self) -> None:
        """Finish what has run, let no thread wait for Postgres any longer, and hand back what none has started."""
        self.attempts.finisher.wait_until_written(_LAST_WRITE_SECONDS)
        self._patiently.end()
        self._give_back()

    def give_back(self) -> None:
        """Let other workers have what waits here, without making the caller wait for Postgres."""
        threading.Thread(target=self._give_back, name="give back", daemon=True).start()

    def _give_back(self) -> None:
        unstarted = self.window.empty()
        claimed = {delivery: claim for delivery, claim in unstarted.items() if claim is not None}
        if claimed:
            try:
                self._hand_back(claimed)
            except psycopg.Error as error:
                log.warning("hand_back_failed", error=str(error), consequence="they are taken over from this worker")
        for delivery in unstarted:
            delivery.settle(Verdict.GIVE_BACK)
        if unstarted:
            log.info("handed_back", jobs=len(unstarted), claimed=len(claimed))

    def _settle(self, delivery: Delivery) -> Verdict:
        """Run the delivery's job if it can be claimed here, now or in a moment; else do what its standing asks for."""
        pause_seconds = _LOCKED_SECONDS
        while True:
            claim = self._patiently(lambda: self.window.take(delivery))
            if claim is not None:
                settled = self._run_claimed(claim, delivery)
                if settled is not Settled.LOST:
                    return Verdict.ACK if settled is Settled.WRITTEN else Verdict.KEEP
            standing = self._patiently(lambda: self._standing(delivery))
            verdict = self._settle_unclaimed(delivery, standing)
            if verdict is not None:
                return verdict
            if standing is Standing.WAITING:
                self.window.arrived(delivery)
            self._patiently.pause(pause_seconds if claim is None else 0)
            pause_seconds = min(2 * pause_seconds, _LONGEST_LOCKED_SECONDS)

    def _settle_unclaimed(self, delivery: Delivery, standing: Standing) -> Verdict | None:
        """Do what follows from where the job stands; None when it is to be looked at again."""
        match standing:
            case Standing.UNKNOWN:
                log.error("unknown_job", job_id=str(delivery.job_id), consequence="its message is on jobs_failed")
                return Verdict.REJECT
            case Standing.FAILED:
                return self._patiently(lambda: self._replay(delivery))
            case Standing.SETTLED:
                return Verdict.ACK
            case Standing.PAUSED:
                self._patiently(partial(self._set_aside, delivery))
                return Verdict.ACK
            case Standing.SUSPECT:
                self._run_suspect(delivery)
        return None

    def _run_claimed(self, claim: Claim, delivery: Delivery) -> Settled:
        with self._gate:
            if self.attempts.endings.is_pointless(claim):
                self._patiently(partial(self._hand_back, {delivery: claim}))
                return Settled.LOST
            fresh_seconds = min(_FRESH_SECONDS, _FRESH_PART * claim.time_limit_seconds)
            if time.monotonic() - claim.claimed_at > fresh_seconds and not self.attempts.renew(claim):
                return Settled.LOST
            return self.attempts.run(claim, acknowledge=partial(delivery.settle, Verdict.ACK))

    def _run_suspect(self, delivery: Delivery) -> None:
        with self._gate.alone(wait_seconds=_ALONE_SECONDS) as is_alone:
            if not is_alone:
                self._patiently(partial(self._postpone, delivery))
                log.info("suspect_postponed", job_id=str(delivery.job_id), seconds=_COME_AGAIN_SECONDS)
                return
            claim = self._patiently(lambda: self._claim_suspect(delivery))
            if claim is not None:
                self.attempts.run(claim, acknowledge=None)

    def _replay(self, delivery: Delivery) -> Verdict:
        """Put a failed job back to its beginning when this is its dead letter; any other message only came late."""
        if delivery.letter_fence is None:
            return Verdict.ACK
        with self._presence.acting() as (connection, _):
            replayed = claims.replay(connection, delivery.job_id, fence=delivery.letter_fence)
        reach("worker.replayed")
        log.warning("replayed" if replayed else "replay_refused", job_id=str(delivery.job_id))
        return Verdict.ACK

    def _claim_many(self, ids: Sequence[UUID]) -> list[Claim]:
        with self._presence.acting() as (connection, number):
            if self._unheard:
                claims.let_go(connection, self._unheard - self._held(), worker=number)
                self._unheard.clear()
            try:
                claimed = claims.claim_window(connection, ids, worker=number)
            except psycopg.OperationalError:
                self._unheard.update(ids)  # It may have been done, and only its answer was lost.
                raise
        reach("worker.claimed")
        return claimed

    def _held(self) -> set[UUID]:
        """Return the jobs that are claimed here and have not ended."""
        return self.window.claimed() | self.attempts.unended()

    def _claim_suspect(self, delivery: Delivery) -> Claim | None:
        with self._presence.acting() as (connection, number):
            claim = claims.claim_suspect(connection, delivery.job_id, worker=number)
        reach("worker.claimed_suspect")
        return claim

    def _set_aside(self, delivery: Delivery) -> None:
        with self._presence.acting() as (connection, _):
            claims.set_aside(connection, delivery.job_id)

    def _postpone(self, delivery: Delivery) -> None:
        with self._presence.acting() as (connection, _):
            claims.postpone(connection, delivery.job_id, seconds=_COME_AGAIN_SECONDS)

    def _hand_back(self, unstarted: Mapping[Delivery, Claim]) -> None:
        carried = [claim for delivery, claim in unstarted.items() if delivery.has_message]
        uncarried = [claim for delivery, claim in unstarted.items() if not delivery.has_message]
        with self._presence.acting() as (connection, _):
            claims.hand_back(connection, carried, uncarried)

    def _standing(self, delivery: Delivery) -> Standing:
        with self._presence.acting() as (connection, _):
            return claims.standing(connection, delivery.job_id)
