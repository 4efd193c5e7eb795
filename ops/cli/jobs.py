"""`moneyflow jobs`: list job kinds; find, show, cancel, run now and enqueue jobs."""

from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError

from moneyflow.jobs import Job, registry
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.contract import PRIORITIES
from moneyflow.platform.jobs.description import describe
from moneyflow.platform.jobs.enqueue import enqueue_many
from moneyflow.platform.jobs.failed import waiting_jobs
from moneyflow.platform.jobs.failed.filters import Filter, ShownState
from moneyflow.platform.jobs.failed.waiting_jobs import CANCEL, RUN_NOW, WAITING_JOBS
from moneyflow.platform.jobs.store.status import job_detail
from moneyflow.platform.operations.engine import CANARY_SECONDS
from ops.cli import times
from ops.cli.filters import filtered
from ops.cli.job_view import print_job
from ops.cli.jobs_request import JobsRequest
from ops.cli.jobs_view import fields_of, print_found, print_kinds
from ops.cli.operations import carry_out
from ops.cli.options import Act, Canary, CanarySeconds, Ids, Kind, Limit, acting, contract_of
from ops.cli.output import AsJson, print_json
from ops.cli.servers import reading_session, working_session

app = typer.Typer(no_args_is_help=True, help="job kinds; find, show, cancel, run now and enqueue jobs")

States = Annotated[list[ShownState] | None, typer.Option("--state", help="in this state; repeatable")]
_Id = Annotated[UUID, typer.Argument(metavar="ID", help="the job's id")]


@app.callback()
def group() -> None:
    """Job kinds; find, show, cancel, run now and enqueue jobs."""


@app.command(name="list")
def list_kinds(*, as_json: AsJson = False) -> None:
    """List the job kinds: what each does, its payload and its retries; --json has the payloads' schemas."""
    kinds = [describe(contract) for _, contract in sorted(registry.items())]
    print_kinds(kinds, as_json=as_json)


@app.command()
@filtered
def find(*, chosen: Filter, state: States = None, limit: Limit = 20, as_json: AsJson = False) -> None:
    """Find jobs in any state, the newest first."""
    with reading_session("jobs find") as session:
        found = waiting_jobs.find(session, replace(chosen, states=tuple(state or ())), limit=limit + 1)
    print_found(found, limit=limit, as_json=as_json)


@app.command()
def show(job_id: _Id, *, as_json: AsJson = False) -> None:
    """Show one job: its state, its payload with secrets masked, its progress and result, and every attempt."""
    with reading_session("jobs show") as session:
        detail = job_detail(session, job_id)
    print_job(detail, as_json=as_json)


@app.command()
@filtered
@acting
def cancel(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    state: States = None,
) -> None:
    """Cancel jobs: those that wait end at once, those that run are asked to stop.

    Exits 1 when a job could not be cancelled; each job's result says why.
    """
    request = JobsRequest(
        verb=CANCEL, group="jobs", source=WAITING_JOBS, names=names or (),
        chosen=replace(chosen, states=tuple(state or ())), act=act,
    )  # fmt: skip
    carry_out(request)


@app.command(RUN_NOW)
@filtered
@acting
def run_now(
    names: Ids = None,
    *,
    chosen: Filter,
    act: Act,
    state: States = None,
    canary: Canary = None,
    canary_seconds: CanarySeconds = CANARY_SECONDS,
) -> None:
    """Make scheduled jobs and jobs that wait for their next attempt due now, or at the rate.

    Exits 1 when a job could not be made due, or the canary failed; each job's result says why.
    """
    request = JobsRequest(
        verb=RUN_NOW, group="jobs", source=WAITING_JOBS, names=names or (),
        chosen=replace(chosen, states=tuple(state or ())), act=act, canary=canary, canary_seconds=canary_seconds,
    )  # fmt: skip
    carry_out(request)


@app.command()
def enqueue(
    kind: Kind,
    payload: Annotated[str, typer.Argument(metavar="JSON", help='its payload, such as \'{"user_id": "…"}\'')] = "{}",
    *,
    delay: Annotated[str | None, typer.Option("--delay", help="run it after this span: 90s, 10m, 2h, 1d")] = None,
    at: Annotated[str | None, typer.Option("--at", help="run it at this time, such as 2026-01-31T09:00:00Z")] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority", min=PRIORITIES[0], max=PRIORITIES[-1], help="instead of the kind's own; 10 is first"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Enqueue a job and print its id; when its unique key is taken, print the id of the job that has it."""
    if delay is not None and at is not None:
        raise InvalidInputError("--delay and --at exclude each other; give either --delay or --at")
    when = {
        "delay": times.span(delay, option="--delay") if delay is not None else None,
        "at": times.moment(at, option="--at") if at is not None else None,
    }
    job = _read(contract_of(kind), payload)
    with working_session("jobs enqueue") as session:
        (job_id,) = enqueue_many(session, [job], priority=priority, **when)  # type: ignore[arg-type]
        found = _enqueued(session, job_id)
    if as_json:
        print_json(found)
    else:
        typer.echo(job_id if found["is_new"] else f"{job_id} exists already, {found['state']}")


def _enqueued(session: Session, job_id: UUID) -> dict[str, Any]:
    row = job_detail(session, job_id).job
    began = session.fetch_one("select transaction_timestamp() as moment")
    is_new = began is not None and row["enqueued_at"] >= began["moment"]
    names = ("kind", "state", "priority", "due_at", "enqueued_at")
    return {"job_id": job_id, "is_new": is_new, **{name: row[name] for name in names}}


def _read(contract: type[Job], payload: str) -> Job:
    try:
        return contract.model_validate_json(payload)
    except ValidationError as error:
        places = [".".join(map(str, problem["loc"])) or "JSON" for problem in error.errors()]
        problems = "; ".join(f"{place}: {p['msg']}" for place, p in zip(places, error.errors(), strict=True))
        payload_of = ", ".join(f"{name}: {kind}" for name, kind in fields_of(describe(contract)))
        raise InvalidInputError(f"{problems}. The payload of {contract.kind} is {payload_of or 'empty'}") from error
