"""`moneyflow failed`: what failed and why; replay, discard and restore it; sweep `jobs_failed`."""

from dataclasses import asdict
from typing import Annotated

import typer

from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.failed.filters import DeadState, Filter
from moneyflow.platform.jobs.failed.use_cases import FailedItems
from moneyflow.platform.jobs.store import status
from moneyflow.platform.operations.engine import CANARY_SECONDS
from ops.cli.failed_view import print_groups, print_jobs, print_refused, print_refused_message
from ops.cli.filters import filtered
from ops.cli.job_view import print_job
from ops.cli.jobs_request import JobsRequest
from ops.cli.operation_view import print_operations, print_report, sweep_text
from ops.cli.operations import carry_out
from ops.cli.options import (
    Act,
    Canary,
    CanarySeconds,
    Ids,
    KeepDeadLetters,
    Limit,
    OperationName,
    Origin,
    Refused,
    acting,
    operation_id,
)
from ops.cli.output import AsJson, console, passes, print_json
from ops.cli.servers import opened

app = typer.Typer(no_args_is_help=True, help="failed jobs: groups, lists, replay, discard, restore")

_STATES: dict[str, DeadState] = {"failed": "failed", "discarded": "discarded"}


@app.callback()
def group() -> None:
    """Failed jobs: groups, lists, replay, discard, restore."""


@app.command()
@filtered
def groups(*, chosen: Filter, refused: Refused = False, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Group failed jobs by kind, error class and message without ids and numbers; the most numerous first."""
    with opened("failed groups") as (settings, database), passes("reading jobs_failed") as on_progress:
        failed = FailedItems.of(settings, database)
        found = failed.groups(chosen, with_refused=refused, on_progress=on_progress)
    print_groups(found, limit=limit, as_json=as_json)


@app.command("list")
@filtered
def list_(
    *,
    chosen: Filter,
    state: Annotated[str, typer.Option("--state", help="failed, or discarded")] = "failed",
    refused: Refused = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List failed jobs, the newest first; or discarded ones, or refused messages."""
    if state not in _STATES:
        raise typer.BadParameter("failed or discarded", param_hint="--state")
    with opened("failed list") as (settings, database), passes("reading jobs_failed") as on_progress:
        failed = FailedItems.of(settings, database)
        messages = failed.refused(chosen, on_progress=on_progress) if refused else None
        page = None if refused else failed.page(chosen, state=_STATES[state], limit=limit)
    if messages is not None:
        print_refused(messages, limit=limit, as_json=as_json)
    if page is not None:
        print_jobs(page, state=state, limit=limit, as_json=as_json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="the id of a job, or the name of a refused message")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one job: payload with secrets masked, every attempt with its error, the traceback, the operations on it."""
    job_id = parse_id(name)
    if job_id is not None:
        with opened("failed show") as (_, database), database.transaction() as session:
            detail = status.job_detail(session, job_id)
        print_job(detail, as_json=as_json)
        return
    with opened("failed show") as (settings, database), passes("reading jobs_failed") as on_progress:
        copies = FailedItems.of(settings, database).refused_message(name, on_progress=on_progress)
    print_refused_message(copies, as_json=as_json)


@app.command()
@filtered
@acting
def replay(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    refused: Refused = False,
    canary: Canary = None,
    canary_seconds: CanarySeconds = CANARY_SECONDS,
    keep_dead_letters: KeepDeadLetters = False,
) -> None:
    """Run failed jobs again, each once, also when another operator replays the same set at the same time.

    Exits 1 when a job could not be replayed, or the canary failed; each job's result says why.
    """
    request = JobsRequest(
        verb="replay", names=names or (), chosen=chosen, act=act, refused=refused, canary=canary,
        canary_seconds=canary_seconds, keep_dead_letters=keep_dead_letters,
    )  # fmt: skip
    carry_out(request)


@app.command()
@filtered
@acting
def discard(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    refused: Refused = False,
    keep_dead_letters: KeepDeadLetters = False,
) -> None:
    """Discard failed jobs, with a reason; `restore` brings them back.

    Exits 1 when a job could not be discarded; each job's result says why.
    """
    request = JobsRequest(
        verb="discard", names=names or (), chosen=chosen, act=act, refused=refused, keep_dead_letters=keep_dead_letters,
    )  # fmt: skip
    carry_out(request)


@app.command()
@filtered
@acting
def restore(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    origin: Origin = None,
) -> None:
    """Make discarded jobs failed again, with their dead letters.

    Exits 1 when a job could not be restored; each job's result says why.
    """
    request = JobsRequest(
        verb="restore", names=names or (), chosen=chosen, act=act,
        origin=origin,
    )  # fmt: skip
    carry_out(request)


@app.command()
def operations(
    name: OperationName = None,
    *,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """List operations, also those that were killed half-way; or show one operation, item by item."""
    with opened("failed operations") as (settings, database):
        failed = FailedItems.of(settings, database)
        if name is not None:
            report = failed.report(operation_id("ID", name))
            print_report(report, as_json=as_json, every_item=True)
            return
        found = failed.operations(limit=limit)
    print_operations(found, as_json=as_json)


@app.command()
def sweep(*, as_json: AsJson = False) -> None:
    """Remove from jobs_failed the dead letters of jobs that are no longer failed; all others stay in their order."""
    with opened("failed sweep") as (settings, database), passes("removing stale dead letters") as on_progress:
        swept = FailedItems.of(settings, database).sweep(on_progress=on_progress)
    if as_json:
        print_json(asdict(swept))
    else:
        console().print(sweep_text(swept))
    if swept.undone:
        raise typer.Exit(1)
