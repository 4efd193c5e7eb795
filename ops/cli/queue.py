"""`moneyflow queue`: how all jobs stand; a kind paused and resumed."""

import getpass
from typing import Annotated, Any

import typer

from moneyflow.platform.errors import ConflictError
from moneyflow.platform.jobs.store import control
from moneyflow.platform.jobs.store import status as jobs_status
from ops.cli.kinds import contract_of
from ops.cli.output import AsJson, console, print_json, shown, table
from ops.cli.servers import working_session

app = typer.Typer(no_args_is_help=True, help="how all jobs stand; pause and resume a kind")

_Kind = Annotated[str, typer.Argument(metavar="KIND", help="the kind, such as send_email")]


@app.callback()
def group() -> None:
    """How all jobs stand; pause and resume a kind."""


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show what waits, runs and has failed, by kind and priority, and which kinds are paused, by whom and why."""
    with working_session("queue status") as session:
        standing, paused = jobs_status.counts(session), control.paused(session)
    if as_json:
        print_json({"jobs": standing, "paused": paused})
        return
    columns = ("kind", "priority", "state", "jobs", "of them blocked", "oldest due for")
    console().print(table(*columns, rows=[_row(row) for row in standing]))
    if paused:
        rows = [(k["kind"], k["paused_at"], k["paused_by"], k["pause_reason"], k["probe_at"]) for k in paused]
        console().print(table("paused", "since", "by", "why", "next probe", rows=rows))


@app.command()
def pause(
    kind: _Kind,
    *,
    reason: Annotated[str, typer.Option("--reason", help="why; whoever looks next reads it")],
    as_json: AsJson = False,
) -> None:
    """Let no more jobs of a kind start, on any worker, until it is resumed; those that run go on to their end."""
    contract, by = contract_of(kind), getpass.getuser()
    with working_session("queue pause") as session:
        control.pause(session, contract.kind, by=by, reason=reason)
    if as_json:
        print_json({"kind": kind, "paused_by": by, "reason": reason})
    else:
        typer.echo(f"{kind} is paused; `moneyflow queue resume {kind}` lets it go on")


@app.command()
def resume(kind: _Kind, *, as_json: AsJson = False) -> None:
    """Let the jobs of a paused kind run again, those first that have waited."""
    contract = contract_of(kind)
    with working_session("queue resume") as session:
        if not control.resume(session, contract.kind):
            raise ConflictError(f"{kind} is not paused; `moneyflow queue status` shows what is")
    if as_json:
        print_json({"kind": kind, "resumed": True})
    else:
        typer.echo(f"{kind} goes on")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    seconds = row["oldest_due_seconds"]
    waits = f"{seconds:.0f} s" if seconds is not None else shown(None)
    return (row["kind"], row["priority"], row["state"], row["jobs"], row["blocked"] or shown(None), waits)
