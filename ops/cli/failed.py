"""`moneyflow failed`: what failed and why; the commands that act on it stand in `failed_acts`."""

import dataclasses
from typing import Annotated

import typer

from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.failed import groups as failed
from moneyflow.platform.jobs.failed import store as ledger
from moneyflow.platform.jobs.failed.groups import DeadState, Filter
from moneyflow.platform.jobs.store import status
from ops.cli import failed_acts
from ops.cli.failed_options import RefusedOption, check_kinds, filtered, operation_id
from ops.cli.failed_report import print_report, report_of
from ops.cli.job_view import job_as_json, print_job
from ops.cli.output import AsJson, console, fixed, more, print_json, table
from ops.cli.servers import opened

app = typer.Typer(no_args_is_help=True, help="jobs that failed for good: look, replay, discard, restore")
Limit = Annotated[int, typer.Option("--limit", min=1, max=100_000, help="show at most so many")]


@app.callback()
def group() -> None:
    """Jobs that failed for good: look, replay, discard, restore."""


@app.command()
@filtered
def groups(*, chosen: Filter, refused: RefusedOption = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Group what failed by job, error class and message without ids and numbers; the most numerous first."""
    with opened("failed groups") as (settings, database):
        with database.transaction() as session:
            check_kinds(session, _without_refused(chosen), state="failed")
            found = failed.groups(session, chosen)
        if refused:
            from ops.cli import failed_refused  # noqa: PLC0415 - kombu is loaded where the queue is looked at

            found = sorted([*found, *failed_refused.groups(settings, database, chosen)], key=lambda one: -one.jobs)
    total = sum(one.jobs for one in found)
    if as_json:
        print_json(
            {"total": total, "in_groups": len(found), "groups": [dataclasses.asdict(one) for one in found[:limit]]}
        )
        return
    rows = [(g.group, g.kind, g.error_class, g.message, g.jobs, g.first_at, g.last_at, g.sample_id) for g in found]
    columns = (fixed("group"), "job", "error", "message", "failed", "first (UTC)", "last (UTC)", fixed("sample"))
    console().print(table(*columns, rows=rows[:limit], title=f"{total} failed, in {len(found)} groups"))
    more(len(found), limit)


@app.command("list")
@filtered
def list_(
    *,
    chosen: Filter,
    state: Annotated[str, typer.Option("--state", help="failed, or discarded")] = "failed",
    refused: RefusedOption = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what failed, the newest first; or what was discarded."""
    if refused:
        from ops.cli import failed_refused  # noqa: PLC0415 - kombu is loaded where the queue is looked at

        with opened("failed list") as (settings, database):
            failed_refused.print_list(settings, database, chosen, limit=limit, as_json=as_json)
        return
    known: dict[str, DeadState] = {"failed": "failed", "discarded": "discarded"}
    if state not in known:
        raise typer.BadParameter("failed or discarded", param_hint="--state")
    with opened("failed list") as (_, database), database.transaction() as session:
        check_kinds(session, chosen, state=known[state])
        jobs, total = failed.page(session, chosen, state=known[state], limit=limit)
    if as_json:
        print_json({"total": total, "jobs": jobs})
        return
    rows = [
        (j["id"], j["kind"], j["priority"], j["attempt"], j["finished_at"], j["error_class"], j["error_message"])
        for j in jobs
    ]
    columns = (fixed("id"), "job", "priority", "tries", "failed at (UTC)", "error", "message")
    console().print(table(*columns, rows=rows, title=f"{total} {state}"))
    more(total, limit)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="the id of a job, or the name of a refused message")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one job whole: payload with secrets masked, every try with its error, its trace, what was done about it."""
    job_id = parse_id(name)
    with opened("failed show") as (settings, database):
        if job_id is None:
            from ops.cli import failed_refused  # noqa: PLC0415 - kombu is loaded where the queue is looked at

            failed_refused.print_one(settings, database, name, as_json=as_json)
            return
        with database.transaction() as session:
            detail = status.job_detail(session, job_id)
    if as_json:
        print_json(job_as_json(detail))
    else:
        print_job(console(), detail)


@app.command()
def operations(
    name: Annotated[str | None, typer.Argument(metavar="ID", help="show this one with the result of each job")] = None,
    *,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List what operators did, and what was killed half-way; or show one operation, job by job."""
    with opened("failed operations") as (_, database), database.transaction() as session:
        if name is not None:
            report = report_of(session, operation_id("ID", name))
        found = [] if name is not None else ledger.operations(session, limit=limit)
    if name is not None:
        print_report(report, as_json=as_json, every_item=True)
        return
    if as_json:
        print_json({"operations": found})
        return
    rows = [
        (o["id"], o["verb"], o["state"], o["items"], o["open_items"], o["created_at"], o["asked_by"], o["reason"])
        for o in found
    ]
    columns = (fixed("id"), "what", "state", "jobs", "left", "begun (UTC)", "by", "reason")
    console().print(table(*columns, rows=rows))


def _without_refused(chosen: Filter) -> Filter:
    return dataclasses.replace(chosen, kinds=tuple(kind for kind in chosen.kinds if kind != "(refused)"))


for _command in (failed_acts.replay, failed_acts.discard, failed_acts.restore, failed_acts.sweep):
    app.command()(_command)
