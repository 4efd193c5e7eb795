"""`moneyflow batches`: list and show batches of jobs with their progress; cancel one."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer

from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import State, Status
from moneyflow.platform.operations.sources import UNCONFIRMED_ITEMS
from ops.cli.brake import confirm
from ops.cli.options import Yes
from ops.cli.output import AsJson, console, print_json, prose, shown, table
from ops.cli.servers import reading_session, working_session

app = typer.Typer(no_args_is_help=True, help="batches of jobs")

_Id = Annotated[UUID, typer.Argument(metavar="ID", help="the batch's id; `moneyflow batches list` lists them")]


@app.callback()
def group() -> None:
    """Batches of jobs."""


@app.command(name="list")
def list_recent(
    *,
    state: Annotated[State | None, typer.Option("--state", help="only those in this state")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="show this many at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest batches with their progress."""
    with reading_session("batches list") as session:
        found = batches.recent(session, states=[state] if state else batches.STATES, limit=limit)
    if as_json:
        print_json({"batches": [_as_json(status) for status in found]})
        return
    columns = ("id", prose("name"), "state", "done", prose("counts"), "opened", "ended")
    rows = [(s.id, s.name, _state(s), _done(s), _counts(s.counts), s.created_at, s.ended_at) for s in found]
    console().print(table(*columns, rows=rows))


@app.command()
def show(batch_id: _Id, *, as_json: AsJson = False) -> None:
    """Show one batch: its jobs by state, its failure policy, the job that runs when it ends, and refused lines."""
    with reading_session("batches show") as session:
        status = batches.status(session, batch_id)
        refused = batches.refused(session, batch_id)
    if as_json:
        print_json({**_as_json(status), "refused": [asdict(one) for one in refused]})
        return
    rows = [(name, value) for name, value in asdict(status).items() if name not in {"counts", "sealed", "state"}]
    rows += [("state", _state(status)), ("done", _done(status)), ("counts", _counts(status.counts))]
    console().print(table("field", prose("value"), rows=[row for row in rows if row[1] is not None]))
    if refused:
        lines = [(one.line, one.reason) for one in refused]
        console().print(table("line", prose("refused because"), rows=lines))


@app.command()
def cancel(
    batch_id: _Id,
    *,
    reason: Annotated[str, typer.Option("--reason", help="why; kept with the batch")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Cancel an open batch: waiting jobs end at once, running jobs are asked to stop, its end job never runs."""
    with reading_session("batches cancel") as session:
        unfinished = batches.status(session, batch_id).unfinished
    if unfinished > UNCONFIRMED_ITEMS and not yes:
        confirm(f"cancel {unfinished} jobs?", what=f"batches cancel would cancel {unfinished} jobs")
    with working_session("batches cancel") as session:
        cancelled = batches.cancel(session, batch_id, reason=reason)
        status = batches.status(session, batch_id)
    if as_json:
        print_json({**_as_json(status), "jobs_cancelled": cancelled})
        return
    running = status.counts.get("running", 0)
    stopping = f", {running} of them running and asked to stop" if running else ""
    console().print(f"batch {batch_id} is cancelled: {cancelled} jobs{stopping}", markup=False)


def _as_json(status: Status) -> dict[str, Any]:
    figures = {"total": status.total, "done": status.done, "done_fraction": status.done_fraction}
    return {**asdict(status), **figures}


def _state(status: Status) -> str:
    return "open, not sealed" if status.state == "open" and not status.sealed else status.state


def _done(status: Status) -> str:
    return f"{status.done} of {status.total}, {status.done_fraction:.0%}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or shown(None)
