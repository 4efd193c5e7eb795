"""`moneyflow failed replay|discard|restore|sweep`: act on a set of failed jobs that is frozen when it begins."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import psycopg
import typer

from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError, MoneyFlowError
from moneyflow.platform.jobs.failed import operations as service
from moneyflow.platform.jobs.failed import store as ledger
from moneyflow.platform.jobs.failed.groups import Filter
from moneyflow.platform.jobs.failed.store import Order, Selection, Verb
from moneyflow.platform.settings import Settings
from ops.cli.failed_options import (
    All,
    By,
    DryRun,
    KeepLetters,
    RateOption,
    Reason,
    RefusedOption,
    Resume,
    check_kinds,
    filtered,
    job_ids,
    operation_id,
    operator,
    rate_per_second,
)
from ops.cli.failed_report import print_report, report_of, sweep_letters, told_of_letters
from ops.cli.output import AsJson, console, fixed, note, print_json, progress_bar, table
from ops.cli.servers import opened, opened_to_act

_CANARY_SECONDS = 900
_ITEMS_SHOWN = 20
_INTERRUPTED = 130

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="ids of jobs; else filters as below, or --all")]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command was given."""

    verb: Verb
    names: Sequence[str]
    chosen: Filter
    everything: bool
    refused: bool
    dry_run: bool
    by: str | None
    reason: str | None
    as_json: bool
    rate: str | None = None
    source: str | None = None
    resume: str | None = None
    canary: int | None = None
    canary_seconds: float = _CANARY_SECONDS
    keep_letters: bool = False

    def order(self) -> Order:
        """Return it as an order; raises InvalidInputError for what cannot be read."""
        source = operation_id("--operation", self.source) if self.source else None
        ids = () if self.refused else job_ids(self.names)
        return Order(
            verb=self.verb,
            selection=Selection(filter=self.chosen, ids=ids, source=source),
            asked_by=operator(self.by),
            reason=self.reason,
            rate=rate_per_second(self.rate),
            canary=self.canary,
        )


@filtered
def replay(
    names: Ids = None,
    *,
    chosen: Filter,
    everything: All = False,
    refused: RefusedOption = False,
    dry_run: DryRun = False,
    rate: RateOption = None,
    canary: Annotated[
        int | None, typer.Option("--canary", min=1, metavar="N", help="replay N first; stop unless all of them succeed")
    ] = None,
    canary_seconds: Annotated[
        float, typer.Option("--canary-timeout", metavar="SECONDS", help="a canary that takes longer has failed")
    ] = _CANARY_SECONDS,
    reason: Reason = None,
    by: By = None,
    resume: Resume = None,
    keep_letters: KeepLetters = False,
    as_json: AsJson = False,
) -> None:
    """Run failed jobs again, each once: those of the set as it is now, whoever else replays them at the same time.

    Exits 1 when a job could not be replayed, or the canary failed; each job's result says why.
    """
    request = Request(
        verb=Verb.REPLAY, names=names or (), chosen=chosen, everything=everything, refused=refused, dry_run=dry_run,
        rate=rate, canary=canary, canary_seconds=canary_seconds, reason=reason, by=by, resume=resume,
        keep_letters=keep_letters, as_json=as_json,
    )  # fmt: skip
    _carry_out(request)


@filtered
def discard(
    names: Ids = None,
    *,
    chosen: Filter,
    everything: All = False,
    refused: RefusedOption = False,
    dry_run: DryRun = False,
    rate: RateOption = None,
    reason: Reason = None,
    by: By = None,
    resume: Resume = None,
    keep_letters: KeepLetters = False,
    as_json: AsJson = False,
) -> None:
    """Set failed jobs aside for good, with a reason; `restore` brings them back.

    Exits 1 when a job could not be discarded; each job's result says why.
    """
    request = Request(
        verb=Verb.DISCARD, names=names or (), chosen=chosen, everything=everything, refused=refused, dry_run=dry_run,
        rate=rate, reason=reason, by=by, resume=resume, keep_letters=keep_letters, as_json=as_json,
    )  # fmt: skip
    if not reason and not resume and not dry_run:
        raise InvalidInputError('discard asks for a reason, which is kept: add --reason "why nobody needs them"')
    _carry_out(request)


@filtered
def restore(
    names: Ids = None,
    *,
    chosen: Filter,
    everything: All = False,
    source: Annotated[
        str | None, typer.Option("--operation", metavar="ID", help="what this operation discarded")
    ] = None,
    dry_run: DryRun = False,
    rate: RateOption = None,
    reason: Reason = None,
    by: By = None,
    resume: Resume = None,
    as_json: AsJson = False,
) -> None:
    """Bring discarded jobs back to the failed ones, with their dead letters.

    Exits 1 when a job could not be restored; each job's result says why.
    """
    request = Request(
        verb=Verb.RESTORE, names=names or (), chosen=chosen, everything=everything, refused=False, dry_run=dry_run,
        source=source, rate=rate, reason=reason, by=by, resume=resume, keep_letters=True, as_json=as_json,
    )  # fmt: skip
    _carry_out(request)


def sweep(*, as_json: AsJson = False) -> None:
    """Remove from jobs_failed the letters of jobs that are no longer failed; all others stay in their order."""
    with opened("failed sweep") as (settings, database):
        swept = sweep_letters(settings, database)
    if as_json:
        print_json(swept)
    else:
        console().print(told_of_letters(swept))
    if swept["undone"]:
        raise typer.Exit(1)


def _carry_out(request: Request) -> None:
    _check(request)
    if request.refused:
        _refused(request)
    elif request.dry_run:
        _preview(request)
    else:
        _act(request)


def _check(request: Request) -> None:
    given = {
        "ids": bool(request.names) and not request.refused,
        "a filter": not request.chosen.is_empty,
        "--all": request.everything,
        "--operation": request.source is not None,
        "--resume": request.resume is not None,
    }
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1:
        raise InvalidInputError(f"{' and '.join(named)} do not go together; give one of them")
    if not named and not (request.refused and request.names):
        ways = "ids, a filter such as --kind or --error, or --all"
        raise InvalidInputError(f"which ones? Give {ways}; `moneyflow failed groups` shows what there is")
    if request.refused and (request.rate or request.canary):
        raise InvalidInputError("--rate and --canary are for jobs; leave them out with --refused")
    if request.resume and (request.dry_run or request.refused or request.rate or request.canary):
        raise InvalidInputError("--resume goes on with what the operation was begun with; give no other option with it")


def _preview(request: Request) -> None:
    order = request.order()
    counts: Counter[str] = Counter()
    items = []
    with opened(f"failed {request.verb}") as (_, database), database.transaction() as session:
        check_kinds(session, request.chosen, state=request.verb.from_state)
        for item, (result, detail) in service.preview(session, order):
            counts[result] += 1
            items.append({"job_id": item.job_id, "result": result, "detail": detail})
    if request.as_json:
        print_json({"dry_run": True, "verb": request.verb, "results": counts, "items": items})
        return
    title = f"{request.verb} of {len(items)} jobs would end so; nothing was changed"
    console().print(table("result", "jobs", rows=list(counts.items()), title=title))
    rows = [(i["job_id"], i["result"], i["detail"]) for i in items if i["result"] not in service.DONE]
    if rows:
        console().print(table(fixed("job"), "result", "detail", rows=rows[:_ITEMS_SHOWN]))


def _act(request: Request) -> None:
    order = request.order()
    with opened_to_act(f"failed {request.verb}") as (settings, database):
        operation = _begun(request, order, database)
        _run(database, operation, request)
        _restore_messages(settings, database, operation)
        with database.transaction() as session:
            report = report_of(session, operation)
        touched = any(report["results"].get(result) for result in service.DONE)
        if touched and not request.keep_letters:
            report["letters"] = sweep_letters(settings, database)
    print_report(report, as_json=request.as_json)
    if report["operation"]["state"] != "ended" or not service.is_done(report["results"]):
        raise typer.Exit(1)


def _begun(request: Request, order: Order, database: Database) -> UUID:
    if request.resume:
        operation = operation_id("--resume", request.resume)
        service.resume(database, operation, verb=request.verb)
        return operation
    with database.transaction() as session:
        check_kinds(session, request.chosen, state=request.verb.from_state)
    operation = service.begin(database, order)
    note(f"operation {operation}; should this be stopped: moneyflow failed {request.verb} --resume {operation}")
    return operation


def _run(database: Database, operation: UUID, request: Request) -> None:
    """Carry the operation out and show how far it has come."""
    again = f"moneyflow failed {request.verb} --resume {operation}"
    try:
        with progress_bar() as bar:
            task = bar.add_task(str(request.verb), total=None)
            for progress in service.run(database, operation, canary_seconds=request.canary_seconds):
                said = f"waiting for {progress.waiting} of the canary" if progress.waiting else str(request.verb)
                bar.update(task, completed=progress.done, total=progress.items, description=said)
    except KeyboardInterrupt:
        note(f"stopped in the middle; what is done is kept. Go on with: {again}")
        raise typer.Exit(_INTERRUPTED) from None
    except (MoneyFlowError, psycopg.Error):
        note(f"operation {operation} is not complete; what is done is kept. Go on with: {again}")
        raise


def _restore_messages(settings: Settings, database: Database, operation: UUID) -> None:
    """Put back the messages without a job that another operation had dropped, where this one is to undo it."""
    with database.transaction() as session:
        source = ledger.operation(session, operation)["filter"].get("operation")
        if source is None or not ledger.messages(session, UUID(source)):
            return
    from moneyflow.platform.brokers.failed_queue import FailedQueue  # noqa: PLC0415 - kombu is loaded where it is needed
    from moneyflow.platform.jobs.failed import refused_messages  # noqa: PLC0415

    with FailedQueue(settings) as queue:
        refused_messages.restore(database, queue, source=UUID(source), operation_id=operation)


def _refused(request: Request) -> None:
    from ops.cli import failed_refused  # noqa: PLC0415 - kombu is loaded where the queue is looked at

    with opened_to_act(f"failed {request.verb}") as (settings, database):
        what = failed_refused.preview if request.dry_run else failed_refused.act
        what(settings, database, request.order(), request.names, as_json=request.as_json)
