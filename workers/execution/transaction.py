"""The handler's run in its transaction, and the statements that write how a try ended."""

from collections.abc import Sequence
from uuid import UUID

import orjson
import structlog

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import JobCancelledError, PermanentError, UnknownVersionError
from moneyflow.platform.failpoints import reach
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.policy import RetryPolicy
from moneyflow.platform.jobs.store import completion, files
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Failure, Success
from moneyflow.platform.jobs.store.files import File
from moneyflow.platform.settings import Settings
from workers.execution.breaker import Breakers
from workers.execution.redaction import Redactor
from workers.handlers import Context, Handlers, Tools
from workers.outcome import PERMANENT, Cancel, EndedByHandlerError, Ending, Fail, Park, RetryIn, Snooze, decide
from workers.progress import Progress, Report

log = structlog.get_logger(__name__)

#: A result is for a glance; what is larger belongs in a table or a file.
MAX_RESULT_BYTES = 64 * 1024


def execute(
    claim: Claim,
    database: Database,
    handlers: Handlers,
    tools: Tools,
    report: Report,
    *,
    worker: str,
) -> Success | None:
    """Run the handler: its effects and the end of its job are one transaction.

    Returns None when that is committed, and the success that is still to be written when the handler wrote nothing.
    """
    if claim.attempt > claim.max_attempts:
        raise PermanentError(f"the process that ran it died, {claim.max_attempts} times and once more")
    contract, handler = contracts.get(claim.kind), handlers.get(claim.kind)
    if contract is None or handler is None:
        raise UnknownVersionError(f"no handler for {claim.kind} here: deploy workers that know it, and it runs")
    payload = contract.from_payload(claim.payload, claim.version)
    progress = Progress(report)
    with database.transaction() as session:
        reach("worker.before_handler")
        result = handler(
            Context(session=session, job_id=claim.id, attempt=claim.attempt, tools=tools, reporter=progress), payload
        )
        if isinstance(result, Ending):
            raise EndedByHandlerError(result)
        progress.tell_the_rest()
        reach("worker.before_finish")
        kept = files.keep(session, claim.id, result) if isinstance(result, File) else _checked(result)
        success = Success(claim=claim, result=kept)
        if session.is_untouched:
            return success
        completion.succeed(session, success, worker=worker)
        if claim.limit_name is not None:
            session.leave_work()  # Its place is free for another.
    reach("worker.finished")
    return None


class Endings:
    """Writes the ends of tries, and lets the breakers know of them."""

    def __init__(self, database: Database, settings: Settings, *, finishes: Database, worker: str) -> None:
        self._database = database
        self._finishes = finishes
        self._worker = worker
        self._redactor = Redactor(settings)
        self._breakers = Breakers(database)

    def succeed_many(self, successes: Sequence[Success]) -> set[UUID]:
        """Finish jobs that touched no table, in one statement; return those that were still ours."""
        with self._finishes.autocommit() as session:
            if any(success.claim.limit_name is not None for success in successes):
                session.leave_work()
            return completion.succeed_many(session, successes, worker=self._worker)

    def succeeded(self, claim: Claim) -> None:
        """Note a success that is committed."""
        self._breakers.succeeded(claim)

    def is_pointless(self, claim: Claim) -> bool:
        """Say whether the job's kind has paused itself since it was claimed."""
        return self._breakers.came_before_pause(claim)

    def give_up(self, claim: Claim, error: Exception) -> str:
        """Write that this try did not succeed and what follows; return the outcome's name.

        Raises:
            FenceLostError: the job was taken over.
        """
        contract = contracts.get(claim.kind)
        policy = contract.retry if contract else RetryPolicy()
        ending = decide(error, claim, policy)
        failure = self._redactor.tell(error)
        reach("worker.before_failure")
        with self._database.transaction() as session:
            _write(session, claim, failure, ending, worker=self._worker)
        reach("worker.failure_written")
        outcome = _OUTCOMES[type(ending)]
        if isinstance(ending, (RetryIn, Fail)):
            log.warning("job_failed", outcome=outcome, error_class=failure.error_class, error=failure.message)
        else:
            log.info("job_put_off", outcome=outcome, reason=failure.message)
        if not isinstance(error, (EndedByHandlerError, JobCancelledError, UnknownVersionError, *PERMANENT)):
            self._breakers.failed(claim, failure)
        return outcome


_OUTCOMES = {RetryIn: "retried", Snooze: "snoozed", Park: "parked", Cancel: "cancelled", Fail: "failed"}


def _write(session: Session, claim: Claim, failure: Failure, ending: Ending | Park, *, worker: str) -> None:
    match ending:
        case RetryIn():
            completion.retry(session, claim, failure, worker=worker, wait_seconds=ending.seconds)
        case Snooze():
            completion.snooze(session, claim, failure, worker=worker, wait_seconds=ending.seconds)
        case Park():
            completion.park(session, claim, failure, worker=worker, wait_seconds=ending.seconds)
        case Cancel():
            completion.cancel(session, claim, failure, worker=worker)
        case Fail():
            completion.fail(session, claim, failure, worker=worker)


def _checked(result: dict[str, object] | None) -> dict[str, object] | None:
    """Refuse a result that is too large to be kept with the job."""
    if result is not None and len(orjson.dumps(result, default=str)) > MAX_RESULT_BYTES:
        raise PermanentError(
            f"the result takes more than {MAX_RESULT_BYTES} bytes: return a File, or a reference to where it is"
        )
    return result
