"""`moneyflow new`: write the files of a new part in a checkout."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from moneyflow.jobs import registry
from moneyflow.platform.errors import ConflictError
from ops.cli.output import AsJson, print_json
from ops.dev.contracts import frozen
from ops.dev.contracts.commands import check_checkout
from ops.dev.scaffold import event_command, sink_command
from ops.dev.scaffold.job import NewJob, files_of, new_job, write

app = typer.Typer(no_args_is_help=True, help="write the files of a new part")

_ROOT = Path(__file__).parents[3]

app.command("event")(event_command.event)
app.command("sink")(sink_command.sink)


@app.callback()
def group() -> None:
    """Write the files of a new part."""


@app.command()
def job(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the job's kind, of the form send_email")],
    *,
    does: Annotated[str | None, typer.Option("--does", help="what it does, in a few words")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME:TYPE", help="of its payload: amount:Decimal, note:str?; repeatable"),
    ] = None,
    no_user: Annotated[bool, typer.Option("--no-user", help="it is about no user")] = False,
    cron: Annotated[str | None, typer.Option("--cron", help="it runs by this schedule, about no user")] = None,
    limit: Annotated[str | None, typer.Option("--limit", help="how many run at once: 3; or a rate: 100/m")] = None,
    mail: Annotated[bool, typer.Option("--mail", help="it sends a mail: write a template too")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a job's contract, its frozen schema, handler, test and, with --mail, template; they pass every check.

    Writes nothing when the name is taken or not valid.
    """
    check_checkout()
    if name in registry:
        raise ConflictError(f"there is a job {name} already, in {registry[name].__module__}; choose another name")
    new = new_job(
        name, does=does, mail=mail, with_user=not no_user, fields=field or (), cron=cron, limit=limit
    )  # fmt: skip
    files = files_of(new)
    write(_ROOT, files)
    written = [*files, *_freeze(name)]
    if as_json:
        print_json({"job": name, "files": written})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(_next_steps(new))


def _freeze(name: str) -> list[str]:
    """Freeze the contract that was written."""
    importlib.invalidate_caches()
    importlib.import_module(f"moneyflow.jobs.{name}")
    return [str(path) for path in frozen.freeze(_ROOT, [registry[name]])]


def _next_steps(job: NewJob) -> str:
    name = job.name
    words = f"\n  - the mail's texts: mail_templates/{name}.jinja" if job.mail else ""
    values = ", ".join(f"{field.name}={field.name}" for field in job.fields if field.required)
    enqueue = "  - enqueue it, in the transaction that it follows from:"
    start = f"{enqueue}\n      enqueue(session, {job.contract}({values}))"
    if job.cron:
        start = f"  - its schedule, which the relay runs; now: moneyflow schedules run {name}"
    return f"""
Next:
  - its payload, priority and retries: moneyflow/jobs/{name}.py, then
      moneyflow contracts freeze --overwrite {name}
  - its handler: workers/jobs/{name}.py{words}
  - its test: tests/integration/test_{name}.py
{start}

  make check
  make test ARGS="tests/integration/test_{name}.py tests/unit/test_completeness.py"

Every feature, with an example that runs: workers/jobs/README.md"""
