"""Run jobs in a test, in its own process and transaction: `run_jobs(session)`.

The statements that claim a job and write how it ended, and what an error means, are those of the workers. For example::

    def test_an_activation_is_followed_by_a_letter(database: Database) -> None:
        mailbox = Mailbox()
        with database.transaction() as session:
            users.activate(session, token)
            ran = run_jobs(session, tools=fake_tools(mailer=mailbox))

        assert [(job.kind, job.outcome) for job in ran] == [("send_welcome", "succeeded")]
        assert mailbox.sent[0].to.address == "ada@mail.example"

What is not as it is in production, so that tests of it need real processes (`tests/e2e/`):

- All is one transaction, the test's. A handler's `commit()` keeps what it did through its own later error, as it
  should; but nobody else sees it before the test's session commits, and when that is rolled back all of it is gone.
  What was to be called after a commit, such as the relay's wake-up, is called after the session's.
- Jobs run one by one, each of them at most once in a call, however soon its next try is due. Limits and rates hold up
  nobody, time limits end nobody, no process dies, and no message is sent or read.
- Postgres's clock goes on by itself: with `until`, what a handler enqueues with a delay is counted from now.
- What ends the process in a worker, such as `SystemExit`, and what ends the connection, ends the test.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import mail_templates
import workers.jobs  # noqa: F401 - importing it declares the handlers
from moneyflow.gateways.mail import Mailer, Recipient
from moneyflow.platform import settings as settings_module
from moneyflow.platform.database import Session, is_outage
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.jobs.store import FRAGMENTS, batches, claims
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry.origin import Origin, working_for
from workers import handlers as declared
from workers.execution.completion import Completion
from workers.execution.redaction import Redactor
from workers.execution.transaction import execute
from workers.handlers import Tools
from workers.testing.nested import NestedDatabase

__all__ = ["Mailbox", "Ran", "SentMail", "fake_tools", "run_jobs"]

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: No worker has this number.
_NO_WORKER = 0
_NAME = "run_jobs"
_BATCHES_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A try that `run_jobs` made.

    `outcome` is one of `succeeded`, `retried`, `failed`, `snoozed`, `cancelled`, `parked` and `fence_lost`; `error` is
    what the handler raised, or the ending that it returned instead of a result.
    """

    job_id: UUID
    kind: str
    attempt: int
    outcome: str
    result: dict[str, Any] | None = None
    error: Exception | None = None


@dataclass(frozen=True, kw_only=True)
class SentMail:
    """A mail that a handler sent, rendered as it would have been."""

    template: str
    to: Recipient
    subject: str
    text: str
    html: str
    job_id: UUID


@dataclass
class Mailbox(Mailer):
    """A mailer that sends nothing and keeps all: the mails in `sent`, or the error that it was given raised instead."""

    sent: list[SentMail] = field(default_factory=list)
    error: Exception | None = None

    def send(self, template: str, *, to: Recipient, values: Mapping[str, Any], job_id: UUID) -> None:
        """Render the mail and keep it."""
        mail = mail_templates.render(template, values)
        if self.error is not None:
            raise self.error
        texts = {"subject": mail.subject, "text": mail.text, "html": mail.html}
        self.sent.append(SentMail(template=template, to=to, job_id=job_id, **texts))

    def close(self) -> None:
        """Do nothing."""


def fake_tools(**replaced: Any) -> Tools:
    """Return tools that reach nothing outside: the settings' defaults and a `Mailbox`, or what is given instead."""
    settings = settings_module.load({"SECRET_KEY": "a key for tests, of more than 32 characters"})
    return Tools(**{"settings": settings, "mailer": Mailbox(), **replaced})


def run_jobs(
    session: Session,
    *,
    kinds: Collection[str] | None = None,
    until: datetime | None = None,
    tools: Tools | None = None,
    at_most: int = 1000,
) -> list[Ran]:
    """Run what is due, the highest priority first and then the oldest, and what that leaves, until nothing is due.

    Returns the tries in their order. `kinds` leaves jobs of all other kinds alone. `until` runs what is due up to that
    moment as if it had come. `tools` is what handlers use of the outside; by default they reach nothing. A batch ends
    when its members have, and its end job is run like any other.

    Raises:
        RuntimeError: `at_most` jobs have run and another is due: does one enqueue itself for ever?
        psycopg.OperationalError: the connection broke.
    """
    runner = _Runner(session, tools or fake_tools())
    chosen_by = {"kinds": list(kinds) if kinds is not None else None, "until": until}
    tried: list[UUID] = []
    ran: list[Ran] = []
    while (job_id := runner.next(chosen_by, tried)) is not None:
        if len(tried) >= at_most:
            raise RuntimeError(
                f"{at_most} jobs have run and job {job_id} is due: does one enqueue itself for ever? Give `at_most=`, "
                "or `kinds=` without the one that does"
            )
        tried.append(job_id)
        ran += runner.run(job_id)
    return ran


class _Runner:
    """Does in one session what the relay and a worker do."""

    def __init__(self, session: Session, tools: Tools) -> None:
        self._session = session
        self._tools = tools
        self._inside = NestedDatabase(session)
        redactor = Redactor(tools.settings)
        self._completion = Completion(self._inside, batches=self._inside, redactor=redactor, worker=_NAME)

    def next(self, chosen_by: Mapping[str, Any], tried: Sequence[UUID]) -> UUID | None:
        """Return the job that comes next, ending batches where none does."""
        parameters = {**chosen_by, "tried": list(tried)}
        while True:
            self._session.execute(_QUERIES["give_places"], parameters)
            row = self._session.fetch_one(_QUERIES["next_due"], parameters)
            if row is not None:
                return UUID(str(row["id"]))
            if not self._turn_batches():
                return None

    def run(self, job_id: UUID) -> list[Ran]:
        """Make one try of the job; nothing when its kind is paused."""
        self._session.execute(_QUERIES["make_due"], {"id": job_id})
        return [self._try(claim) for claim in claims.claim(self._session, [job_id], worker=_NO_WORKER)]

    def _try(self, claim: Claim) -> Ran:
        known: dict[str, Any] = {"job_id": claim.id, "kind": claim.kind, "attempt": claim.attempt}
        origin = Origin(correlation_id=claim.correlation_id, traceparent=claim.traceparent)
        with working_for(origin, job_id=str(claim.id), job=claim.kind, attempt=claim.attempt):
            try:
                self._execute(claim)
            except FenceLostError as error:
                return Ran(**known, outcome="fence_lost", error=error)
            except Exception as error:
                if is_outage(error):
                    raise
                return Ran(**known, outcome=self._completion.fail(claim, error), error=error)
        row = self._session.fetch_one(_QUERIES["result"], {"id": claim.id})
        return Ran(**known, outcome="succeeded", result=row["result"] if row else None)

    def _execute(self, claim: Claim) -> None:
        def report(progress: dict[str, Any] | None) -> bool:
            return claims.report(self._session, claim, progress)

        success = execute(claim, self._inside, declared.registry, self._tools, report, worker=_NAME)
        if success is not None and claim.id not in self._completion.succeed_many([success]):
            raise FenceLostError(f"job {claim.id} was taken over, or is finished already")
        self._completion.succeeded(claim)

    def _turn_batches(self) -> bool:
        """End the batches that can end, and cancel what a failed member cancels; False when there are none."""
        cancelled = batches.cancel_failed(self._session, limit=_BATCHES_AT_ONCE, members=_BATCHES_AT_ONCE)
        ended = batches.end_finished(self._session, limit=_BATCHES_AT_ONCE)
        return bool(cancelled or ended)
