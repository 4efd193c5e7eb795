"""`moneyflow queue`: count jobs by kind and state; pause and resume a kind."""

from typing import Any

import typer

from moneyflow.platform.errors import ConflictError
from moneyflow.platform.jobs.store import control
from moneyflow.platform.jobs.store import status as jobs_status
from ops.cli.options import Kind, PauseReason, acting_operator, contract_of
from ops.cli.output import AsJson, console, print_json, prose, shown, table
from ops.cli.servers import reading_session, working_session

app = typer.Typer(no_args_is_help=True, help="counts of jobs; pause and resume a kind")


@app.callback()
def group() -> None:
    """Counts of jobs; pause and resume a kind."""


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Count waiting, running and failed jobs by kind and priority; list paused kinds, and what no worker can read."""
    with reading_session("queue status") as session:
        standing, paused, parked = jobs_status.counts(session), control.paused(session), jobs_status.parked(session)
    if as_json:
        print_json({"jobs": standing, "paused": paused, "parked": parked})
        return
    columns = ("kind", "priority", "state", "jobs", "of them blocked", "oldest overdue for")
    console().print(table(*columns, rows=[_row(row) for row in standing]))
    if paused:
        rows = [(k["kind"], k["paused_at"], k["paused_by"], k["pause_reason"], k["probe_at"]) for k in paused]
        console().print(table("paused", "since", "by", prose("why"), "next probe", rows=rows))
    if parked:
        rows = [(k["kind"], k["jobs"], k["oldest_enqueued_at"], k["reason"], k["oldest_id"]) for k in parked]
        console().print(table("parked", "jobs", "since", prose("why"), "oldest", rows=rows))


@app.command()
def pause(kind: Kind, *, reason: PauseReason, as_json: AsJson = False) -> None:
    """Pause a kind: no job of it starts on any worker until it is resumed; running jobs continue to their end."""
    contract, by = contract_of(kind), acting_operator()
    with working_session("queue pause") as session:
        control.pause(session, contract.kind, by=by, reason=reason)
    if as_json:
        print_json({"kind": kind, "paused_by": by, "reason": reason})
    else:
        typer.echo(f"{kind} is paused; `moneyflow queue resume {kind}` ends the pause")


@app.command()
def resume(kind: Kind, *, as_json: AsJson = False) -> None:
    """Resume a paused kind, also one that only another version declares: its jobs run again, in their order."""
    with working_session("queue resume") as session:
        if not control.resume(session, kind):
            contract_of(kind)
            raise ConflictError(f"{kind} is not paused; `moneyflow queue status` lists the paused kinds")
    if as_json:
        print_json({"kind": kind, "resumed": True})
    else:
        typer.echo(f"{kind} is resumed")


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    seconds = row["oldest_due_seconds"]
    waits = f"{seconds:.0f} s" if seconds is not None else shown(None)
    return (row["kind"], row["priority"], row["state"], row["jobs"], row["blocked"] or shown(None), waits)
