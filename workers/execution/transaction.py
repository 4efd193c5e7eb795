"""The attempt's transaction: the handler runs in it, and its effects and the end of its job commit together."""

import inspect
from collections.abc import Callable
from typing import Any

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import PermanentError, UnknownVersionError
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.result_file import File
from moneyflow.platform.jobs.store import completion, results
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Success
from moneyflow.platform.jobs.store.results import InvalidResultError
from workers.execution.result_files import ResultFiles
from workers.handlers import Context, Handlers
from workers.outcome import EndedByHandlerError, Ending
from workers.progress import Progress, Report

_BEFORE_HANDLER = failpoints.declare("worker.before_handler")
_BEFORE_FINISH = failpoints.declare("worker.before_finish")
_FINISHED = failpoints.declare("worker.finished")


def execute(
    claim: Claim, database: Database, handlers: Handlers, report: Report, *, files: ResultFiles, worker: str
) -> Success | None:
    """Run the handler; return None when its job's end is committed, or the success that is still to be written.

    A handler that ran no statement has nothing to commit: its end is written together with others.
    """
    if claim.attempt > claim.max_attempts:
        raise PermanentError(f"the process that ran the job died in each of its {claim.max_attempts} attempts")
    run = _handler(claim, handlers)
    progress = Progress(report)
    with database.transaction() as session:
        failpoints.reach(_BEFORE_HANDLER)
        result = run(Context(session=session, job_id=claim.id, attempt=claim.attempt, reporter=progress))
        if isinstance(result, Ending):
            raise EndedByHandlerError(result)
        progress.flush()
        failpoints.reach(_BEFORE_FINISH)
        success = Success(claim=claim, result=_stored(session, claim, result, files))
        if session.is_untouched:
            return success
        completion.succeed(session, success, worker=worker)
        if claim.limit_name is not None:
            session.notify_after_commit()  # Its place under the limit is free for another job.
    failpoints.reach(_FINISHED)
    return None


def _handler(claim: Claim, handlers: Handlers) -> Callable[[Context], Any]:
    """Return what runs the job's payload, read as this version's contract has it."""
    contract, handler = contracts.get(claim.kind), handlers.get(claim.kind)
    if contract is None or handler is None:
        raise UnknownVersionError(f"no handler for {claim.kind} here: deploy workers that have one, and it runs")
    payload = contract.from_payload(claim.payload, claim.version)
    return lambda context: handler(context, payload)


def _stored(session: Session, claim: Claim, result: object, files: ResultFiles) -> dict[str, Any] | None:
    """Return what is kept as the job's result; a file is stored.

    Raises:
        PermanentError: the handler returned something else, or what cannot be kept.
    """
    match result:
        case None:
            return None
        case dict():
            return results.in_json(result)
        case File():
            return files.store(session, result, job_id=claim.id)
    raise InvalidResultError(f"the handler returned {_described(result)}. Nothing that it wrote is kept")


def _described(returned: object) -> str:
    """Return what a handler returned that is no result, and what to return in its place."""
    if inspect.iscoroutine(returned) or inspect.isgenerator(returned):
        returned.close()  # It never ran, and never will.
    if inspect.isawaitable(returned):
        return "a coroutine, so it never ran: declare it with `def`, and call async code by `asyncio.run(...)`"
    if inspect.isgenerator(returned) or inspect.isasyncgen(returned):
        return "a generator, so it never ran: use no `yield` in a handler"
    if isinstance(returned, type):
        return f"the class {returned.__name__[:100]}: return a value, as in `return Fail('the account is closed')`"
    if isinstance(returned, BaseException):
        return f"the error {type(returned).__name__[:100]}: raise it"
    return f"a value of type {type(returned).__name__[:100]}: return a dictionary, a File, an ending or None"
