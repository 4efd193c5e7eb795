"""`moneyflow schedules`: list cron schedules; run, pause and resume one."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

import moneyflow.jobs  # noqa: F401 - importing the contracts declares their schedules
from moneyflow.platform.jobs import ticks
from ops.cli.options import PauseReason, acting_operator
from ops.cli.output import AsJson, console, print_json, prose, shown, table
from ops.cli.servers import reading_session, working_session

app = typer.Typer(no_args_is_help=True, help="cron schedules of jobs")

_Name = Annotated[str, typer.Argument(help="the schedule's name; `moneyflow schedules list` lists them")]


@app.callback()
def group() -> None:
    """Cron schedules of jobs."""


@app.command(name="list")
def list_all(*, as_json: AsJson = False) -> None:
    """List every schedule: its cron, its next and last tick, the ticks that were left out, and its pause."""
    with reading_session("schedules list") as session:
        found = ticks.listed(session)
    if as_json:
        print_json({"schedules": found})
        return
    columns = ("name", "job", "cron", "zone", "overlap", "catch up", "next", "last", "left out", prose("state"))
    console().print(table(*columns, rows=[_row(row) for row in found]))


@app.command()
def run(name: _Name, *, as_json: AsJson = False) -> None:
    """Enqueue the schedule's job now and print its id; the schedule's ticks do not change."""
    with working_session("schedules run") as session:
        job_id = ticks.run(session, name)
    _print({"name": name, "job_id": str(job_id)}, str(job_id), as_json=as_json)


@app.command()
def pause(name: _Name, *, reason: PauseReason, as_json: AsJson = False) -> None:
    """Pause the schedule: it does not tick until it is resumed; a job that was enqueued already runs."""
    by = acting_operator()
    with working_session("schedules pause") as session:
        ticks.pause(session, name, by=by, reason=reason)
    _print({"name": name, "paused_by": by, "reason": reason}, f"{name} is paused", as_json=as_json)


@app.command()
def resume(name: _Name, *, as_json: AsJson = False) -> None:
    """Resume a paused schedule; ticks of the pause are not caught up."""
    with working_session("schedules resume") as session:
        next_tick_at = ticks.resume(session, name)
    found = {"name": name, "next_tick_at": next_tick_at}
    _print(found, f"{name} ticks again, next at {shown(next_tick_at)}", as_json=as_json)


def _print(found: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        typer.echo(text)


def _row(row: Mapping[str, Any]) -> tuple[object, ...]:
    next_tick_at = None if row["paused_at"] or row["removed_at"] else row["next_tick_at"]
    last = f"{shown(row['last_tick_at'])} {row['last_job_state'] or ''}".strip()
    left_out = f"{row['skipped']} skipped, {row['missed']} missed"
    named = [row[name] for name in ("name", "kind", "cron", "time_zone", "overlap", "catch_up")]
    return (*named, next_tick_at, last, left_out, _state(row))


def _state(row: Mapping[str, Any]) -> str:
    if row["removed_at"]:
        return "removed: no code declares it"
    if row["paused_at"]:
        return f"paused by {row['paused_by']}: {row['pause_reason']}"
    return "ticks"
