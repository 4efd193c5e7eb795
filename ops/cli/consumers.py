"""`moneyflow consumers`: where each sink is; skip a gap or records; rewind, to read records again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.operations.sources import Order, Selection
from moneyflow.platform.sinks.positions.rows import POSITIONS, REWIND, SKIP
from moneyflow.platform.telemetry import origin
from ops.cli.brake import can_ask
from ops.cli.consumers_view import print_consequences, print_overview
from ops.cli.operation_view import print_report, show_operations
from ops.cli.options import By, DryRun, Limit, OperationName, Reason, acting_operator
from ops.cli.output import AsJson, note
from ops.cli.servers import opened_with_kafka
from ops.cli.times import moment_or_ago

if TYPE_CHECKING:  # PERF: aiokafka takes longer to import than most commands take to run.
    from moneyflow.platform.sinks.positions.use_cases import SinkPositions

app = typer.Typer(no_args_is_help=True, help="sinks: positions and lag; skip gaps, rewind")

_Sink = Annotated[str, typer.Argument(metavar="SINK", help="such as audit")]
_Yes = Annotated[bool, typer.Option("--yes", help="do not ask")]


@app.callback()
def group() -> None:
    """Sinks: where each is in its topics, and how to move it."""


@app.command("list")
def list_(
    sink: Annotated[str | None, typer.Argument(metavar="SINK", help="only this one")] = None, *, as_json: AsJson = False
) -> None:
    """List each sink's partitions: position, lag in records and seconds, consumer, and why one is stopped or parked."""
    with _opened("consumers list") as positions:
        found = positions.overview(sink=sink)
    print_overview(found, as_json=as_json)


@app.command()
def skip(
    sink: _Sink,
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="such as user.events")],
    partition: Annotated[int, typer.Argument(metavar="PARTITION", min=0)],
    *,
    to: Annotated[
        int | None, typer.Option("--to", min=0, metavar="OFFSET", help="continue here; else where the gap ends")
    ] = None,
    dry_run: DryRun = False,
    reason: Reason = None,
    yes: _Yes = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Acknowledge a gap: continue where Kafka has records again. With --to, skip records, which the sink never sees.

    Shows first what is skipped. Exits 1 when another operator has moved the position meanwhile.
    """
    _move(_Move(verb=SKIP, sink=sink, topic=topic, partition=partition, to=to, dry_run=dry_run, reason=reason, yes=yes,
                by=by, as_json=as_json))  # fmt: skip


@app.command()
def rewind(
    sink: _Sink,
    topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="only this one, such as user.events")] = None,
    partition: Annotated[int | None, typer.Argument(metavar="PARTITION", min=0, help="only this one")] = None,
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="WHERE", help="beginning, an offset, or a time: 2026-01-31T03:00Z, 2h, 7d")
    ],
    dry_run: DryRun = False,
    reason: Reason = None,
    yes: _Yes = False,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Read records again: the sink ignores those that it has, and writes what is missing.

    Shows first what is read again. Exits 1 when a position could not be moved, such as one with a gap.
    """
    _move(_Move(verb=REWIND, sink=sink, topic=topic, partition=partition, to=_where(to), dry_run=dry_run, reason=reason,
                yes=yes, by=by, as_json=as_json))  # fmt: skip


@app.command()
def operations(
    name: OperationName = None,
    *,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List skips and rewinds: by whom, why, from where and to where."""
    with _opened("consumers operations") as positions:
        show_operations(positions.operations, name, limit=limit, as_json=as_json)


@dataclass(frozen=True, kw_only=True)
class _Move:
    """The options of a command that moves positions."""

    verb: str
    sink: str
    topic: str | None
    partition: int | None
    to: int | datetime | str | None
    dry_run: bool
    reason: str | None
    yes: bool
    by: str | None
    as_json: bool

    def order(self) -> Order:
        """Return the order that the options make; raises InvalidInputError."""
        from moneyflow.platform.sinks.positions.targets import Target  # noqa: PLC0415 - PERF: as above

        if isinstance(self.to, int) and self.partition is None:
            raise InvalidInputError("--to: an offset is of one partition; give TOPIC and PARTITION too")
        target = Target(sink=self.sink, topic=self.topic, partition=self.partition, to=self.to)
        return Order(
            verb=self.verb,
            sources=(POSITIONS,),
            selection=Selection(criteria=target),
            asked_by=acting_operator(self.by),
            reason=self.reason,
        )


def _move(move: _Move) -> None:
    """Show what the move means, ask on a terminal, and carry it out; exit with 1 when a position did not move."""
    order, command = move.order(), f"consumers {move.verb}"
    if not move.dry_run and not move.reason:
        raise InvalidInputError(f'{move.verb} asks for a reason, which is kept: add --reason "why"')
    with _opened(command) as positions:
        preview = positions.operations.preview(order)
        consequences = positions.consequences(order, preview)
        if move.dry_run or not move.as_json:
            print_consequences(order, preview, consequences, as_json=move.as_json and move.dry_run)
        if move.dry_run:
            return
        if can_ask() and not move.yes and not typer.confirm(f"{move.verb} {len(preview.items)} positions?", err=True):
            note("nothing was done")
            raise typer.Exit(1)
        operation = positions.operations.freeze(order)
        for _ in positions.operations.run(operation):
            pass
        report = positions.operations.report(operation)
    print_report(report, as_json=move.as_json, every_item=True)
    if not move.as_json:
        note("a consumer that runs continues at its new position within a minute")
    if not report.is_done:
        raise typer.Exit(1)


def _where(text: str) -> int | datetime | str:
    """Read an offset, a time or `beginning`; raises InvalidInputError."""
    from moneyflow.platform.sinks.positions.targets import BEGINNING  # noqa: PLC0415 - PERF: as above

    if text == BEGINNING:
        return BEGINNING
    return int(text) if text.isascii() and text.isdigit() else moment_or_ago(text, option="--to")


@contextmanager
def _opened(command: str) -> "Iterator[SinkPositions]":
    """Open the positions of the sinks, with Kafka as the operator."""
    import logging  # noqa: PLC0415

    import moneyflow.events  # noqa: PLC0415 - declares the contracts
    from moneyflow.platform.sinks.positions.use_cases import SinkPositions  # noqa: PLC0415 - PERF: as above

    assert moneyflow.events, "the import declares the contracts"
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # The error of the command says what is wrong.
    origin.set_process("cli")  # The source of the events.
    with opened_with_kafka(command) as (settings, database):
        yield SinkPositions(settings, database)
