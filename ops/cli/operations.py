"""How a command carries out an operation: checked options, a preview, or freeze, run, report and exit code."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
import typer

from moneyflow.platform.errors import InvalidInputError, MoneyFlowError
from moneyflow.platform.jobs.failed.failed_jobs import JOBS
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.jobs.failed.refused_source import REFUSED_MESSAGES
from moneyflow.platform.jobs.failed.use_cases import FailedItems
from moneyflow.platform.operations.engine import CANARY_SECONDS
from moneyflow.platform.operations.sources import NOT_FOUND, Order, Selection
from ops.cli.brake import frozen
from ops.cli.operation_view import print_preview, print_report
from ops.cli.options import Act, acting_operator, job_ids, operation_id
from ops.cli.output import note, passes, progress_bar
from ops.cli.servers import opened, opened_to_act
from ops.cli.times import rate_per_second

#: The exit code of a command none of whose ids exists.
_NOTHING_FOUND = 2
#: The exit code of a command that SIGINT ended.
_INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of a command that acts on many items."""

    verb: str
    names: Sequence[str]
    chosen: Filter
    act: Act
    refused: bool = False
    #: The group of commands, and what it acts on.
    group: str = "failed"
    source: str = JOBS
    origin: str | None = None
    canary: int | None = None
    canary_seconds: float = CANARY_SECONDS
    keep_dead_letters: bool = False

    @property
    def command(self) -> str:
        """Return the command that carries out the verb."""
        return f"{self.group} {self.verb}"

    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""
        origin = operation_id("--operation", self.origin) if self.origin else None
        ids = tuple(dict.fromkeys(self.names)) if self.refused else tuple(map(str, job_ids(self.names)))
        return Order(
            verb=self.verb,
            sources=self._sources(),
            selection=Selection(criteria=self.chosen, ids=ids, operation=origin),
            asked_by=acting_operator(self.act.by),
            reason=self.act.reason,
            rate=rate_per_second(self.act.rate, option="--rate") if self.act.rate is not None else None,
            canary=self.canary,
        )

    def _sources(self) -> tuple[str, ...]:
        if self.origin:  # It may have been of jobs or of refused messages.
            return (JOBS, REFUSED_MESSAGES)
        return (REFUSED_MESSAGES,) if self.refused else (self.source,)


def carry_out(request: Request) -> None:
    """Carry out a request; exit with 1 when an item could not be acted on or the canary failed, with 2 for unknown ids.

    Raises:
        InvalidInputError: the options contradict each other, or select nothing.
    """
    _check(request)
    if request.act.dry_run:
        _preview(request)
    else:
        _act(request)


def _check(request: Request) -> None:
    given = {
        "ids": bool(request.names) and not request.refused,
        "a filter": not request.chosen.is_empty,
        "--all": request.act.everything,
        "--operation": request.origin is not None,
        "--resume": request.act.resume is not None,
    }
    named = [name for name, is_given in given.items() if is_given]
    if len(named) > 1:
        raise InvalidInputError(f"{' and '.join(named)} do not go together; give one of them")
    if not named and not (request.refused and request.names):
        ways = "ids, a filter such as --kind or --error, or --all"
        look = "failed groups" if request.group == "failed" else "jobs find"
        raise InvalidInputError(f"which ones? Give {ways}; `moneyflow {look}` shows what there is")
    if request.refused and (request.act.rate or request.canary):
        raise InvalidInputError("--rate and --canary are for jobs; leave them out with --refused")
    if request.act.resume and (request.act.dry_run or request.refused or request.act.rate or request.canary):
        raise InvalidInputError("--resume continues with the options of its operation; give no other option with it")


def _preview(request: Request) -> None:
    order = request.order()
    with opened(request.command) as (settings, database):
        preview = FailedItems.of(settings, database).preview(order)
    print_preview(order, preview, as_json=request.act.as_json)


def _act(request: Request) -> None:
    order = request.order()
    if not (request.act.reason or request.act.resume):
        raise InvalidInputError(f'{request.verb} asks for a reason, which is kept: add --reason "why"')
    with opened_to_act(request.command) as (settings, database):
        failed = FailedItems.of(settings, database)
        operation = _begun(failed, request, order)
        _run(failed, operation, request)
        with passes("removing stale dead letters") as on_progress:
            finished = failed.finish(operation, with_sweep=not request.keep_dead_letters, on_progress=on_progress)
    print_report(finished, as_json=request.act.as_json)
    if not finished.report.is_done:
        raise typer.Exit(_NOTHING_FOUND if finished.report.results.keys() == {NOT_FOUND} else 1)


def _begun(failed: FailedItems, request: Request, order: Order) -> UUID:
    """Freeze the order, or resume its operation; return the operation's id."""
    if request.act.resume:
        operation = operation_id("--resume", request.act.resume)
        failed.resume(operation, verb=request.verb)
        return operation
    operation = frozen(failed, order, is_confirmed=request.act.yes)
    note(f"operation {operation}; to continue it:\n  {_resume(request, operation)}")
    return operation


def _run(failed: FailedItems, operation: UUID, request: Request) -> None:
    """Run the operation and show its progress."""
    try:
        with progress_bar() as bar:
            task = bar.add_task(request.verb, total=None)
            for progress in failed.run(operation, canary_seconds=request.canary_seconds):
                text = f"waiting for {progress.waiting} of the canary" if progress.waiting else request.verb
                bar.update(task, completed=progress.done, total=progress.items, description=text)
    except KeyboardInterrupt:
        note(f"interrupted; what is done is kept. Continue with: {_resume(request, operation)}")
        raise typer.Exit(_INTERRUPTED) from None
    except (MoneyFlowError, psycopg.Error):
        note(f"operation {operation} is incomplete; what is done is kept. Continue with: {_resume(request, operation)}")
        raise


def _resume(request: Request, operation: UUID) -> str:
    return f"moneyflow {request.command} --resume {operation}"
