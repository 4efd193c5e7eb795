"""How a command carries out an operation: checked options, a preview, or freeze, run, report and exit code."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import psycopg
import typer

from moneyflow.platform.errors import InvalidInputError, MoneyFlowError
from moneyflow.platform.operations.ends import END_SECONDS
from moneyflow.platform.operations.engine import CANARY_SECONDS
from moneyflow.platform.operations.reports import Preview, Progress, Report
from moneyflow.platform.operations.sources import NOT_FOUND, Order
from ops.cli.brake import frozen
from ops.cli.operation_view import print_preview, print_report
from ops.cli.options import Act, operation_id
from ops.cli.output import note, progress_bar

#: The exit code of a command none of whose ids exists.
_NOTHING_FOUND = 2
#: The exit code of a command that SIGINT ended.
_INTERRUPTED = 130


class Performer(Protocol):
    """Carries out operations on the sources that it knows."""

    def preview(self, order: Order) -> Preview: ...

    def takes_canary(self, order: Order) -> bool: ...

    def freeze(self, order: Order, *, confirmed: int) -> UUID: ...

    def resume(self, operation_id: UUID, *, verb: str) -> None: ...

    def run(self, operation_id: UUID, *, canary_seconds: float, end_seconds: float) -> Iterator[Progress]: ...

    def report(self, operation_id: UUID) -> Report: ...


@dataclass(frozen=True, kw_only=True)
class Request(ABC):
    """The options of a command that acts on many items; each group of commands says what it acts on."""

    verb: str
    act: Act
    canary: int | None = None
    canary_seconds: float = CANARY_SECONDS
    end_seconds: float = END_SECONDS

    @property
    @abstractmethod
    def command(self) -> str:
        """Return the command that carries out the verb, such as `failed replay`."""

    @property
    @abstractmethod
    def selections(self) -> dict[str, bool]:
        """Return the ways to select items, each with whether it is given; exactly one may be."""

    @property
    @abstractmethod
    def ways(self) -> str:
        """Return the ways to select items, and the command that shows what there is."""

    @abstractmethod
    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""

    @abstractmethod
    def performer(self, *, acts: bool) -> AbstractContextManager[Performer]:
        """Open what carries out the order; a command that acts notifies the processes that continue its work."""

    def check(self) -> None:
        """Check the options; raises InvalidInputError when they contradict each other, or select nothing."""
        given = {**self.selections, "--all": self.act.everything, "--resume": self.act.resume is not None}
        named = [name for name, is_given in given.items() if is_given]
        if len(named) > 1:
            raise InvalidInputError(f"{' and '.join(named)} do not go together; give one of them")
        if not named:
            raise InvalidInputError(f"which ones? Give {self.ways}")
        if self.act.resume and (self.act.dry_run or self.act.rate or self.canary):
            raise InvalidInputError(
                "--resume continues with the options of its operation; give no other option with it"
            )

    def finish(self, performer: Performer, operation: UUID) -> Report:
        """Report an operation that has run, and print the report."""
        report = performer.report(operation)
        print_report(report, as_json=self.act.as_json)
        return report


def carry_out(request: Request) -> None:
    """Carry out a request; exit with 1 when an item could not be acted on or the canary failed, with 2 for unknown ids.

    Raises:
        InvalidInputError: the options contradict each other, or select nothing.
    """
    request.check()
    if request.act.dry_run:
        _preview(request)
    else:
        _act(request)


def _preview(request: Request) -> None:
    order = request.order()
    with request.performer(acts=False) as performer:
        preview = performer.preview(order)
    print_preview(order, preview, as_json=request.act.as_json)


def _act(request: Request) -> None:
    order = request.order()
    if not (request.act.reason or request.act.resume):
        raise InvalidInputError(f'{request.verb} asks for a reason, which is kept: add --reason "why"')
    with request.performer(acts=True) as performer:
        operation = _begun(performer, request, order)
        _run(performer, operation, request)
        report = request.finish(performer, operation)
    if not report.is_done:
        raise typer.Exit(_NOTHING_FOUND if report.results.keys() == {NOT_FOUND} else 1)


def _begun(performer: Performer, request: Request, order: Order) -> UUID:
    """Freeze the order, or resume its operation; return the operation's id."""
    if request.act.resume:
        operation = operation_id("--resume", request.act.resume)
        performer.resume(operation, verb=request.verb)
        return operation
    operation = frozen(performer, order, is_confirmed=request.act.yes)
    note(f"operation {operation}; to continue it:\n  {_resume(request, operation)}")
    return operation


def _run(performer: Performer, operation: UUID, request: Request) -> None:
    """Run the operation and show its progress."""
    try:
        with progress_bar() as bar:
            task = bar.add_task(request.verb, total=None)
            steps = performer.run(operation, canary_seconds=request.canary_seconds, end_seconds=request.end_seconds)
            for progress in steps:
                bar.update(
                    task, completed=progress.done, total=progress.items, description=_step(progress, request.verb)
                )
    except KeyboardInterrupt:
        note(f"interrupted; what is done is kept. Continue with: {_resume(request, operation)}")
        raise typer.Exit(_INTERRUPTED) from None
    except (MoneyFlowError, psycopg.Error):
        note(f"operation {operation} is incomplete; what is done is kept. Continue with: {_resume(request, operation)}")
        raise


def _step(progress: Progress, verb: str) -> str:
    """Return what the operation does now."""
    if progress.waiting:
        return f"waiting for {progress.waiting} of the canary"
    return f"{verb}: {progress.started} have not ended" if progress.started else verb


def _resume(request: Request, operation: UUID) -> str:
    return f"moneyflow {request.command} --resume {operation}"
