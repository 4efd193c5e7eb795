"""One try of a claimed job: the handler runs, and how it ended is written where the fence is still ours."""

import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from uuid import UUID

import structlog

from moneyflow.platform.database import Database, is_outage
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.failpoints import reach
from moneyflow.platform.jobs.store import claims
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.telemetry import metrics
from moneyflow.platform.telemetry.origin import Origin, working_for
from workers.claims.heartbeat import Heartbeat
from workers.claims.retry import PostgresRetry, StoppingError
from workers.execution.completer import Completer, Completion
from workers.execution.transaction import Endings, execute
from workers.handlers import Handlers, Tools

log = structlog.get_logger(__name__)

#: How often a try that Postgres interrupted by going away begins anew without being counted.
_INTERRUPTIONS = 5
#: How long a job may overrun its time limit before it is said to hang.
_HANGING_SECONDS = 10.0


class HandlerExitError(Exception):
    """A handler raised what is meant to end a process or a thread, such as SystemExit; it ends its try and no more."""


class Settled(Enum):
    """How far a try has come when its thread is done with it."""

    WRITTEN = auto()  #: Its end is committed.
    HANDED_OVER = auto()  #: It has run well and wrote nothing; the finisher commits its end.
    LOST = auto()  #: It was taken over meanwhile, or given back.


class Executor:
    """Runs tries for the threads of one worker, and knows which of them run right now."""

    def __init__(
        self,
        *,
        database: Database,
        finishes: Database,
        presence: Heartbeat,
        handlers: Handlers,
        tools: Tools,
        patience: PostgresRetry,
    ) -> None:
        self._database = database
        self._presence = presence
        self._handlers = handlers
        self._tools = tools
        self._patiently = patience
        self.endings = Endings(database, tools.settings, finishes=finishes, worker=presence.name)
        self.finisher = Completer(self.endings.succeed_many, patience)
        self._running: dict[int, tuple[Claim, float]] = {}
        #: Whose end is not written yet, though some of them run no more.
        self._unended: set[UUID] = set()
        #: How long a handler has taken of late, in seconds: what the size of the window goes by.
        self.usual_seconds: float | None = None

    def run(self, claim: Claim, *, acknowledge: Callable[[], None] | None) -> Settled:
        """Run the job to the end of this try.

        With `acknowledge`, the end of a job that wrote nothing is left to the finisher, which calls it once that is
        committed; without, it is written here as every other end is.
        """
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        self._running[threading.get_ident()] = (claim, time.monotonic())
        self._unended.add(claim.id)
        settled = Settled.LOST
        with working_for(origin, **_log_fields(claim)):
            try:
                settled = self._timed(claim, acknowledge)
            except FenceLostError as error:
                self._lost(claim, error.detail)
            finally:
                del self._running[threading.get_ident()]
                if settled is not Settled.HANDED_OVER:
                    self._unended.discard(claim.id)
        return settled

    def overdue(self) -> Claim | None:
        """Return a job that runs for much longer than its time limit: it hangs, and its thread with it."""
        now = time.monotonic()
        for claim, started in list(self._running.values()):
            if now - started > claim.time_limit_seconds + _HANGING_SECONDS:
                return claim
        return None

    def running(self) -> int:
        """Return how many jobs run right now."""
        return len(self._running)

    def unended(self) -> set[UUID]:
        """Return the jobs whose end is not written yet."""
        return set(self._unended)

    def renew(self, claim: Claim) -> bool:
        """Begin the claim's lease anew, however long Postgres is away; False when the job was taken over."""
        return self._patiently(partial(self._renew_now, claim))

    def _timed(self, claim: Claim, acknowledge: Callable[[], None] | None) -> Settled:
        """Run the handler, and write how it ended."""
        wait_seconds = claim.wait_seconds + time.monotonic() - claim.claimed_at
        wait, run = metrics.of_job(claim.kind, claim.priority)
        wait.observe(max(wait_seconds, 0))
        started = time.monotonic()
        outcome = self._until_ended(claim, acknowledge)
        seconds = time.monotonic() - started
        usual = self.usual_seconds
        self.usual_seconds = seconds if usual is None else 0.9 * usual + 0.1 * seconds
        run.observe(seconds)
        if outcome is None:
            return Settled.HANDED_OVER
        if outcome == "succeeded":
            self._succeeded(claim, seconds)
        else:
            self._ended(claim, outcome, seconds)
        return Settled.WRITTEN

    def _until_ended(self, claim: Claim, acknowledge: Callable[[], None] | None) -> str | None:
        """Run the handler once; once more only where Postgres was away and the job is still ours."""
        for _ in range(_INTERRUPTIONS):
            try:
                return self._execute(claim, acknowledge)
            except (FenceLostError, StoppingError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its try
                if not is_outage(error):
                    return self._give_up(claim, error)
                interrupted, was_away = error, self._wait_for_postgres(claim)
            except BaseException as error:  # noqa: BLE001 - a handler may end its try, never a thread
                wrapped = HandlerExitError(f"the handler raised {error!r}")
                wrapped.__cause__ = error
                return self._give_up(claim, wrapped)
            if not was_away:
                break  # It answers at once: the handler itself loses its connection, and that counts.
        return self._give_up(claim, interrupted)

    def _execute(self, claim: Claim, acknowledge: Callable[[], None] | None) -> str | None:
        """Run the handler; None when the finisher is left to write the end."""
        report = partial(self._report, claim)
        started = time.monotonic()
        success = execute(claim, self._database, self._handlers, self._tools, report, worker=self._presence.name)
        seconds = time.monotonic() - started
        if success is None:
            self.endings.succeeded(claim)
            return "succeeded"
        finish = Completion(
            success=success,
            committed=lambda held: self._finished(claim, acknowledge, held=held, seconds=seconds),
            refused=lambda error: self._refused(claim, error, acknowledge),
        )
        if acknowledge is not None:
            self.finisher.hand_over(finish)
            return None
        held = self._patiently(lambda: self.endings.succeed_many([success]))  # And not the handler once more.
        if claim.id not in held:
            raise FenceLostError(_taken_over(claim))
        reach("worker.finished")
        self.endings.succeeded(claim)
        return "succeeded"

    def _finished(self, claim: Claim, acknowledge: Callable[[], None] | None, *, held: bool, seconds: float) -> None:
        """Let the message of what the finisher has committed go: who took the job over has one of its own."""
        reach("worker.finished")
        self._unended.discard(claim.id)
        if held:
            self.endings.succeeded(claim)
            self._succeeded(claim, seconds)
        else:
            self._lost(claim, _taken_over(claim))
        if acknowledge is not None:
            acknowledge()

    def _refused(self, claim: Claim, error: Exception, acknowledge: Callable[[], None] | None) -> None:
        """Postgres cannot store this success: the try has failed, as if the handler had raised it."""
        try:
            outcome = self._give_up(claim, error)
            self._ended(claim, outcome, 0, correlation_id=claim.correlation_id, **_log_fields(claim))
        except FenceLostError as lost:
            self._lost(claim, lost.detail)
        self._unended.discard(claim.id)
        if acknowledge is not None:
            acknowledge()

    def _give_up(self, claim: Claim, error: Exception) -> str:
        return self._patiently(partial(self.endings.give_up, claim, error))

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

    def _report(self, claim: Claim, progress: "dict[str, object] | None") -> bool:
        with self._presence.acting() as (connection, _):
            return claims.report(connection, claim, progress)

    def _ended(self, claim: Claim, outcome: str, seconds: float, **fields: object) -> None:
        metrics.finished(claim.kind, outcome).inc()
        log.info("job_ended", outcome=outcome, seconds=round(seconds, 4), **fields)

    def _succeeded(self, claim: Claim, seconds: float) -> None:
        """Count a success. Its record is the job's row and the metric, so its log line is for debugging only."""
        metrics.finished(claim.kind, "succeeded").inc()
        log.debug("job_succeeded", seconds=round(seconds, 4), correlation_id=claim.correlation_id, **_log_fields(claim))

    def _lost(self, claim: Claim, detail: str) -> None:
        log.warning("fence_lost", detail=detail)
        metrics.finished(claim.kind, "fence_lost").inc()


def _log_fields(claim: Claim) -> dict[str, object]:
    """Return the log fields that identify an attempt."""
    return {"job_id": str(claim.id), "job": claim.kind, "attempt": claim.attempt}


def _taken_over(claim: Claim) -> str:
    return f"job {claim.id} was taken over from fence {claim.fence}, or is finished already"
