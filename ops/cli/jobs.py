"""`moneyflow jobs`: list job kinds; find, show, cancel and enqueue single jobs."""

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
from moneyflow.platform.jobs.models.job import JobState
from moneyflow.platform.jobs.store import control, status
from moneyflow.platform.jobs.store.status import job_detail
from ops.cli import times
from ops.cli.job_view import print_job
from ops.cli.options import Kind, contract_of
from ops.cli.output import AsJson, console, print_json, prose, shown, table
from ops.cli.servers import working_session

app = typer.Typer(no_args_is_help=True, help="job kinds, and single jobs")

_Id = Annotated[UUID, typer.Argument(metavar="ID", help="the job's id")]


@app.callback()
def group() -> None:
    """Job kinds, and single jobs."""


@app.command(name="list")
def list_kinds(*, as_json: AsJson = False) -> None:
    """List the job kinds: what each does, its payload and its retries; --json has the payloads' schemas."""
    kinds = [describe(contract) for _, contract in sorted(registry.items())]
    if as_json:
        print_json({"jobs": kinds})
        return
    columns = (
        "kind", "priority", "attempts", "time limit", "limit", "schedule", prose("unique"), prose("does"),
        prose("payload"),
    )  # fmt: skip
    console().print(table(*columns, rows=[_row(kind) for kind in kinds]))


@app.command()
def find(
    *,
    state: Annotated[JobState | None, typer.Option("--state", help="only those in this state")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="only those of this kind")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="show this many at most")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs of a state or a kind."""
    with working_session("jobs find") as session:
        found = status.find(session, state=state, kind=kind, limit=limit)
    if as_json:
        print_json({"jobs": found})
        return
    columns = ("id", "kind", "state", "priority", "attempt", "enqueued", "due", "finished", prose("why"))
    console().print(table(*columns, rows=[_found_row(job) for job in found]))


@app.command()
def show(job_id: _Id, *, as_json: AsJson = False) -> None:
    """Show one job: its state, its payload with secrets masked, its progress and result, and every attempt."""
    with working_session("jobs show") as session:
        detail = job_detail(session, job_id)
    print_job(detail, as_json=as_json)


@app.command()
def cancel(job_id: _Id, *, as_json: AsJson = False) -> None:
    """Cancel a job: a waiting job ends at once, a running job is asked to stop."""
    with working_session("jobs cancel") as session:
        state = control.cancel(session, job_id)
    if as_json:
        print_json({"job_id": job_id, "state": state})
    elif state == "cancelled":
        typer.echo(f"job {job_id} is cancelled")
    else:
        typer.echo(f"job {job_id} is running and was asked to stop; see `moneyflow jobs show {job_id}`")


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
        payload_of = ", ".join(f"{name}: {kind}" for name, kind in _fields(describe(contract)))
        raise InvalidInputError(f"{problems}. The payload of {contract.kind} is {payload_of or 'empty'}") from error


def _fields(kind: dict[str, Any]) -> list[tuple[str, str]]:
    return [(f"{field['name']}{'' if field['required'] else '?'}", field["type"]) for field in kind["fields"]]


def _row(kind: dict[str, Any]) -> tuple[object, ...]:
    payload = ", ".join(f"{name}: {type_name}" for name, type_name in _fields(kind))
    name = kind["kind"] if kind["version"] == 1 else f"{kind['kind']} v{kind['version']}"
    limit = kind["limit"]["name"] if kind["limit"] else None
    attempts, seconds = kind["retry"]["attempts"], f"{kind['time_limit_seconds']} s"
    crons = ", ".join(schedule["cron"] for schedule in kind["schedules"])
    numbers = (kind["priority"], attempts, seconds)
    return (name, *numbers, limit, crons or None, _unique(kind["unique"]), kind["does"], payload)


def _unique(unique: dict[str, Any] | None) -> str | None:
    if unique is None:
        return None
    spans = [f"for {unique['for_seconds']:g} s"] if unique["for_seconds"] is not None else []
    spans += ["while unfinished"] if unique["while_unfinished"] else []
    return " and ".join(spans) or "for ever"


def _found_row(job: dict[str, Any]) -> tuple[object, ...]:
    why = job["parked_reason"] or (f"{job['error_class']}: {job['error_message']}" if job["error_class"] else None)
    state = f"{job['state']}, waits for {job['waits_for']}" if job["waits_for"] else job["state"]
    dates = (job["enqueued_at"], job["due_at"], job["finished_at"])
    attempt = f"{job['attempt']} of {job['max_attempts']}"
    return (job["id"], job["kind"], state, job["priority"], attempt, *dates, shown(why))
