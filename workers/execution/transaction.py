"""The attempt's transaction: the handler runs in it, and its effects and the end of its job commit together."""

from collections.abc import Callable
from typing import Any

import orjson

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PermanentError, UnknownVersionError
from moneyflow.platform.jobs.contract import registry as contracts
from moneyflow.platform.jobs.store import completion, files
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Success
from moneyflow.platform.jobs.store.files import File
from workers.handlers import Context, Handlers
from workers.outcome import EndedByHandlerError, Ending
from workers.progress import Progress, Report

_BEFORE_HANDLER = failpoints.declare("worker.before_handler")
_BEFORE_FINISH = failpoints.declare("worker.before_finish")
_FINISHED = failpoints.declare("worker.finished")

#: Bytes of a result's JSON: a result is for a glance, and what is larger belongs in a table or a file.
MAX_RESULT_BYTES = 64 * 1024


def execute(claim: Claim, database: Database, handlers: Handlers, report: Report, *, worker: str) -> Success | None:
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
        stored = files.store(session, claim.id, result) if isinstance(result, File) else _checked(result)
        success = Success(claim=claim, result=stored)
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


def _checked(result: dict[str, object] | None) -> dict[str, object] | None:
    """Refuse a result that is too large to be kept with the job."""
    if result is not None and len(orjson.dumps(result, default=str)) > MAX_RESULT_BYTES:
        raise PermanentError(
            f"the result takes more than {MAX_RESULT_BYTES} bytes: return a File, or a reference to where it is"
        )
    return result
