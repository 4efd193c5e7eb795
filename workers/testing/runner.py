"""Run jobs in a test, in its own process and transaction: `run_jobs(session)`.

It uses the workers' own statements and rules: how a job is claimed, how its end is written, what an error means. For
example::

    def test_an_activation_is_followed_by_a_mail(database: Database) -> None:
        mailbox = new_mailbox()
        with database.transaction() as session:
            users.activate(session, token)
            ran = run_jobs(session, gateways=[mailbox])

        assert [(job.kind, job.outcome) for job in ran] == [("send_welcome", "succeeded")]
        assert mailbox.sent[0].to.address == "ada@mail.example"

It differs from production in these points, whose tests need real processes (`tests/e2e/`):

- There is one transaction, the test's. What a handler commits survives its own later error, as in production; but no
  other connection sees it before the test's session commits, and a rollback of that session drops all of it. Callbacks
  after a commit, such as the relay's notification, run after the session's commit.
- Jobs run one by one, each at most once per call, however soon its next attempt is due. Limits and rates delay no job,
  time limits end none, no process dies, and no message is published or consumed.
- Postgres's clock is not moved: with `until`, the delay of a job that a handler enqueues counts from now.
- What a handler changes in its process is put back when its attempt ends, as in production. What it leaves in the
  session, such as a `set` without `local`, stays there until the test's session ends.
- An error that ends the process in a worker, such as `SystemExit`, or its connection, ends the test.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import workers.jobs  # noqa: F401 - importing it declares the handlers
from moneyflow.gateways.storage import Storage
from moneyflow.platform.database import Session, is_outage
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.jobs.store import FRAGMENTS, batches, claims
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.queries import load_queries
from moneyflow.platform.settings import Section
from moneyflow.platform.telemetry.origin import Origin, working_for
from workers import handlers as declared
from workers.execution.completion import Completion
from workers.execution.redaction import Redactor
from workers.execution.reset import Baseline
from workers.execution.result_files import ResultFiles
from workers.execution.transaction import execute
from workers.handlers import Gateways, Handlers, bind
from workers.testing.gateways import fake_gateways
from workers.testing.nested import NestedDatabase

__all__ = ["Ran", "run_jobs"]

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: A number and a name that no worker has.
_NUMBER, _NAME = 0, "run_jobs"
#: Batches, and members of each, that one statement handles: more than any test has.
_BATCHES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One attempt that `run_jobs` ran.

    `outcome` is one of `succeeded`, `retried`, `failed`, `snoozed`, `cancelled`, `parked` and `fence_lost`; `error` is
    the handler's exception, or the ending that it returned instead of a result.
    """

    job_id: UUID
    kind: str
    attempt: int
    outcome: str
    result: dict[str, Any] | None = None
    error: Exception | None = None


def run_jobs(
    session: Session,
    *,
    kinds: Collection[str] | None = None,
    until: datetime | None = None,
    gateways: Iterable[object] = (),
    at_most: int = 1000,
) -> list[Ran]:
    """Run the due jobs, the highest priority first and then the oldest, and those that they enqueue, until none is due.

    Returns the attempts in their order.

    Args:
        session: a session with an open transaction.
        kinds: run these kinds alone; None for all.
        until: run the jobs that are due up to this moment, as if it had come.
        gateways: the handlers' gateways and settings sections, found by type; those that are not given are fakes.
        at_most: the number of jobs after which the call is taken for a loop.

    A batch ends when its members have ended, and its end job runs like any other.

    Raises:
        RuntimeError: `at_most` jobs have run and another is due.
        TypeError: a handler asks for a gateway that is neither given nor faked.
        psycopg.OperationalError: the connection broke.
    """
    runner = _Runner(session, fake_gateways(*gateways))
    selection = {"kinds": list(kinds) if kinds is not None else None, "until": until}
    started: list[UUID] = []
    ran: list[Ran] = []
    while (job_id := runner.next(selection, started)) is not None:
        if len(started) >= at_most:
            raise RuntimeError(
                f"{at_most} jobs have run and job {job_id} is due: does one enqueue itself for ever? Pass a larger "
                "`at_most=`, or `kinds=` without that one"
            )
        started.append(job_id)
        ran += runner.run(job_id)
    return ran


class _Runner:
    """The relay and a worker in one session."""

    def __init__(self, session: Session, gateways: Gateways) -> None:
        self._session = session
        self._gateways = gateways
        self._files = ResultFiles(cast("Storage", gateways.find(Storage)))
        self._inside = NestedDatabase(session)
        self._baseline = Baseline()
        self._completion = Completion(self._inside, batches=self._inside, redactor=Redactor(Section()), worker=_NAME)

    def next(self, selection: Mapping[str, Any], ran: Sequence[UUID]) -> UUID | None:
        """Return the next due job; when there is none, end the batches that can end and look again."""
        parameters = {**selection, "ran": list(ran)}
        while True:
            self._session.execute(_QUERIES["give_places"], parameters)
            row = self._session.fetch_one(_QUERIES["next_due"], parameters)
            if row is not None:
                return UUID(str(row["id"]))
            if not self._end_batches():
                return None

    def run(self, job_id: UUID) -> list[Ran]:
        """Run one attempt of the job; none when its kind is paused."""
        self._session.execute(_QUERIES["make_due"], {"id": job_id})
        return [self._attempt(claim) for claim in claims.claim(self._session, [job_id], worker=_NUMBER)]

    def _attempt(self, claim: Claim) -> Ran:
        known: dict[str, Any] = {"job_id": claim.id, "kind": claim.kind, "attempt": claim.attempt}
        handlers = self._bound(claim.kind)
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        with working_for(origin, job_id=str(claim.id), job=claim.kind, attempt=claim.attempt):
            try:
                self._execute(claim, handlers)
            except Exception as error:
                if is_outage(error):
                    raise
                return Ran(**known, outcome=self._failed(claim, error), error=error)
        row = self._session.fetch_one(_QUERIES["result"], {"id": claim.id})
        return Ran(**known, outcome="succeeded", result=row["result"] if row else None)

    def _failed(self, claim: Claim, error: Exception) -> str:
        try:
            return self._completion.fail(claim, error)
        except FenceLostError:
            return "fence_lost"

    def _bound(self, kind: str) -> Handlers:
        """Return the kind's handler with its gateways; those of other kinds need none here."""
        return bind({kind: declared.registry[kind]} if kind in declared.registry else {}, self._gateways)

    def _execute(self, claim: Claim, handlers: Handlers) -> None:
        def report(progress: dict[str, Any] | None) -> bool:
            return claims.report(self._session, claim, progress)

        attempt = partial(execute, files=self._files, worker=_NAME)
        success = self._baseline.run(lambda: attempt(claim, self._inside, handlers, report))
        if success is not None and claim.id not in self._completion.succeed_many([success]):
            raise FenceLostError(f"job {claim.id} was taken over, or is finished already")
        self._completion.succeeded(claim)

    def _end_batches(self) -> bool:
        """End the batches that can end, and cancel the members that a failed one cancels; False when there are none."""
        cancelled = batches.cancel_failed(self._session, limit=_BATCHES_AT_ONCE, members=_BATCHES_AT_ONCE)
        ended = batches.end_finished(self._session, limit=_BATCHES_AT_ONCE)
        return bool(cancelled or ended)
