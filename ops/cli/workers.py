"""`moneyflow workers`: the workers, and what their threads run."""

from collections.abc import Sequence
from dataclasses import asdict

import typer
from rich.console import Group, RenderableType

from moneyflow.platform.status.conditions import duration
from moneyflow.platform.status.jobs import read_workers
from moneyflow.platform.status.snapshot import RunningJob, Worker
from ops.cli.output import AsJson, console, plain, print_json
from ops.cli.servers import opened

app = typer.Typer(no_args_is_help=True, help="workers, and what their threads run")


@app.callback()
def group() -> None:
    """Workers, and what their threads run."""


@app.command("list")
def list_(*, as_json: AsJson = False) -> None:
    """List the workers with their threads, and each job that runs: id, kind, attempt, and since when.

    What a worker runs is as of its last heartbeat, two seconds ago at most.
    """
    with opened("workers list") as (_, database), database.transaction() as session:
        workers = read_workers(session)
    if as_json:
        print_json({"workers": [asdict(worker) for worker in workers]})
    else:
        console().print(listing(workers))


def listing(workers: Sequence[Worker]) -> RenderableType:
    """Return the list for a screen of 80 columns: ids and kinds are never cut."""
    if not workers:
        return plain("no worker runs; start one with `make up`, or `python -m workers`")
    return Group(*(_worker(worker) for worker in workers))


def _worker(worker: Worker) -> RenderableType:
    state = "alive" if worker.is_alive else "DEAD or frozen: the relay rescues its jobs"
    threads = "threads unknown" if worker.threads is None else f"{len(worker.running)} of {worker.threads} threads busy"
    heartbeat = f"heartbeat {duration(worker.silent_seconds)} ago"
    head = plain(f"{worker.name}  {state}, {threads}, {heartbeat}", style="bold")
    return Group(head, *(_job(job) for job in worker.running))


def _job(job: RunningJob) -> RenderableType:
    """Return the job's id and kind on a line, where they are not broken, and the rest below."""
    since = f"{job.since:%H:%M:%S} UTC ({duration(job.seconds)})"
    return plain(f"  {job.id}  {job.kind}\n    attempt {job.attempt}, since {since}")
