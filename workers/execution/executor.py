"""Executor: one attempt of a claimed job, from its handler to its committed end."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database, is_outage
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.jobs import metrics
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Outcome, Success
from moneyflow.platform.telemetry.origin import Origin, working_for
from workers.claims.claims import Claims
from workers.claims.retry import PostgresRetry, StoppingError
from workers.execution.completer import Completer, Pending
from workers.execution.completion import Completion
from workers.execution.reset import Baseline
from workers.execution.result_files import ResultFiles
from workers.execution.transaction import execute
from workers.handlers import Handlers

log = structlog.get_logger(__name__)

_COMPLETED = failpoints.declare("worker.completed")

#: Times that an attempt which an outage of Postgres interrupted starts again without being counted.
_INTERRUPTIONS = 5
#: Seconds that a job may overrun its time limit before it counts as hanging.
_HANGING_SECONDS = 10.0
#: Jobs from which the usual seconds of a job are learnt. PERF: with ten, a single job that waited for the interpreter
#: lock changed the prefetch, and each change cancels the consumer.
_LEARNT_FROM = 50

#: Called once an attempt needs this worker no more: its end is committed, or another worker has the job.
Done = Callable[[], None]


class HandlerExitError(Exception):
    """A handler raised what ends a process or a thread, such as SystemExit; it ends its attempt and no more."""


class Executor:
    """Runs attempts for the threads of one worker, and knows which of them run now."""

    def __init__(
        self,
        *,
        database: Database,
        claims: Claims,
        completion: Completion,
        handlers: Handlers,
        files: ResultFiles,
        retry: PostgresRetry,
        worker: str,
        hanging_seconds: float = _HANGING_SECONDS,
    ) -> None:
        self._database = database
        self._claims = claims
        self._completion = completion
        self._handlers = handlers
        self._files = files
        self._retry = retry
        self._worker = worker
        self._hanging_seconds = hanging_seconds
        self._baseline = Baseline()
        self.completer = Completer(completion.succeed_many, retry)
        #: By thread; each writes its own entry, and `overdue` reads a copy.
        self._running: dict[int, tuple[Claim, float]] = {}
        #: Seconds that a job has taken lately, for the prefetch policy. Threads may overwrite one another's update.
        self.usual_seconds: float | None = None
        self._learnt_from = 0

    def run(self, claim: Claim, *, done: Done, hand_over: bool = True) -> None:
        """Run the attempt to its end.

        With `hand_over` the success of a job that touched no table is left to the completer, which then calls `done`.
        """
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        self._running[threading.get_ident()] = (claim, time.monotonic())
        with working_for(origin, **_fields(claim)):
            try:
                is_ended = self._timed(claim, done if hand_over else None)
            except FenceLostError as error:
                self._lost(claim, error.detail)
                is_ended = True
            finally:
                del self._running[threading.get_ident()]
            if is_ended:
                self._claims.ended(claim)
                done()

    def is_pointless(self, claim: Claim) -> bool:
        """Return whether the job's kind paused itself after the claim: it would only meet the same outage."""
        return self._completion.is_pointless(claim)

    def overdue(self) -> Claim | None:
        """Return a job that runs for much longer than its time limit: it hangs, and its thread with it."""
        now = time.monotonic()
        for claim, started in list(self._running.values()):
            if now - started > claim.time_limit_seconds + self._hanging_seconds:
                return claim
        return None

    def running(self) -> int:
        """Return how many jobs run now."""
        return len(self._running)

    def running_jobs(self) -> list[dict[str, Any]]:
        """Return each job that runs now, as operators see it, and the seconds for which it has run."""
        now = time.monotonic()
        return [
            {"id": str(claim.id), "kind": claim.kind, "attempt": claim.attempt, "seconds": round(now - started, 3)}
            for claim, started in list(self._running.values())
        ]

    def _timed(self, claim: Claim, done: Done | None) -> bool:
        """Run the handler and record how long it took; return False when the completer writes the end."""
        wait, run = metrics.of_job(claim.kind, claim.priority)
        wait.observe(max(claim.wait_seconds + time.monotonic() - claim.claimed_at, 0))
        started = time.monotonic()
        outcome = self._until_ended(claim, done, started)
        seconds = time.monotonic() - started
        self._learnt_from = min(self._learnt_from + 1, _LEARNT_FROM)
        usual = self.usual_seconds or 0.0
        self.usual_seconds = usual + (seconds - usual) / self._learnt_from
        run.observe(seconds)
        if outcome is None:
            return False
        if outcome is Outcome.SUCCEEDED:
            self._succeeded(claim, seconds)
        else:
            metrics.finished(claim.kind, outcome).inc()
        return True

    def _until_ended(self, claim: Claim, done: Done | None, started: float) -> Outcome | None:
        """Run the handler once; again only where Postgres was down and the job is still held."""
        for _ in range(_INTERRUPTIONS):
            try:
                return self._execute(claim, done, started)
            except StoppingError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a handler raises ends its attempt
                if not is_outage(error):
                    return self._fail(claim, error)  # A lost fence too: a handler may raise it and hold its job.
                interrupted = error
            except BaseException as error:  # noqa: BLE001 - a handler may end its attempt, never a thread
                wrapped = HandlerExitError(f"the handler raised {_shown(error)}")
                wrapped.__cause__ = error
                return self._fail(claim, wrapped)
            is_held, was_down = self._claims.renew(claim)
            if not is_held:
                raise FenceLostError(f"job {claim.id} was taken over from fence {claim.fence} during an outage")
            if not was_down:
                break  # It answers at once: the handler itself loses its connection, and that counts.
        return self._fail(claim, interrupted)

    def _execute(self, claim: Claim, done: Done | None, started: float) -> Outcome | None:
        """Run the handler; return None when the completer writes the end."""
        report = partial(self._claims.report, claim)
        attempt = partial(execute, files=self._files, worker=self._worker)
        try:
            success = self._baseline.run(lambda: attempt(claim, self._database, self._handlers, report))
        except StoppingError as error:
            raise HandlerExitError("the handler raised what only a worker raises that stops") from error
        if success is None:
            return Outcome.SUCCEEDED
        if done is not None:
            self._hand_over(success, done, time.monotonic() - started)
            return None
        held = self._retry(lambda: self._completion.succeed_many([success]))  # And not the handler again.
        if claim.id not in held:
            raise FenceLostError(_taken_over(claim))
        failpoints.reach(_COMPLETED)
        return Outcome.SUCCEEDED

    def _hand_over(self, success: Success, done: Done, seconds: float) -> None:
        claim = success.claim

        def committed(is_held: bool) -> None:
            failpoints.reach(_COMPLETED)
            if is_held:
                self._succeeded(claim, seconds)
            else:
                self._lost(claim, _taken_over(claim))
            self._claims.ended(claim)
            done()

        def refused(error: Exception) -> None:
            """Fail the attempt: Postgres cannot store this success, as if the handler had raised it."""
            try:
                metrics.finished(claim.kind, self._fail(claim, error)).inc()
            except FenceLostError as lost:
                self._lost(claim, lost.detail)
            self._claims.ended(claim)
            done()

        self.completer.hand_over(Pending(success=success, committed=committed, refused=refused))

    def _fail(self, claim: Claim, error: BaseException) -> Outcome:
        return self._retry(partial(self._completion.fail, claim, error))

    def _succeeded(self, claim: Claim, seconds: float) -> None:
        self._completion.succeeded(claim)
        metrics.finished(claim.kind, Outcome.SUCCEEDED).inc()
        log.debug("job_succeeded", seconds=round(seconds, 4), **_line(claim))

    def _lost(self, claim: Claim, detail: str) -> None:
        log.warning("fence_lost", detail=detail, **_line(claim))
        metrics.finished(claim.kind, "fence_lost").inc()


def _shown(error: BaseException) -> str:
    try:
        return repr(error)
    except BaseException:  # noqa: BLE001 - the text of an error is code of its own
        return type(error).__name__


def _fields(claim: Claim) -> dict[str, object]:
    # PERF: the id as text only once a line is written.
    return {"job_id": claim.id, "job": claim.kind, "attempt": claim.attempt}


def _line(claim: Claim) -> dict[str, object]:
    """Return the fields of a log line that any thread may write."""
    return {**_fields(claim), "correlation_id": claim.correlation_id}


def _taken_over(claim: Claim) -> str:
    return f"job {claim.id} was taken over from fence {claim.fence}, or has ended already"
