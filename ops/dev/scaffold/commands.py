"""`moneyflow new`: write the files of a new part in a checkout."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from moneyflow.jobs import registry
from moneyflow.platform.errors import ConflictError
from ops.cli.output import AsJson, print_json
from ops.dev.contracts import frozen
from ops.dev.scaffold import job as new_job

app = typer.Typer(no_args_is_help=True, help="write the files of a new part")

_ROOT = Path(__file__).parents[3]


@app.callback()
def group() -> None:
    """Write the files of a new part."""


@app.command()
def job(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the job's kind, of the form send_email")],
    *,
    does: Annotated[str | None, typer.Option("--does", help="what it does, in a few words")] = None,
    mail: Annotated[bool, typer.Option("--mail", help="it sends a mail: write a template too")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a job's contract, its frozen schema, handler, test and, with --mail, template; they pass every check.

    Writes nothing when the name is taken or not valid.
    """
    if not (_ROOT / "tests").is_dir():
        raise ConflictError(f"{_ROOT} is no checkout of Money Flow; run .venv/bin/moneyflow of a checkout")
    if name in registry:
        raise ConflictError(f"there is a job {name} already, in {registry[name].__module__}; choose another name")
    files = new_job.files_of(name, does=does, mail=mail)
    new_job.write(_ROOT, files)
    written = [*files, *_freeze(name)]
    if as_json:
        print_json({"job": name, "files": written})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    typer.echo(_next_steps(name, mail=mail))


def _freeze(name: str) -> list[str]:
    """Freeze the contract that was written."""
    importlib.invalidate_caches()
    importlib.import_module(f"moneyflow.jobs.{name}")
    return [str(path) for path in frozen.freeze(_ROOT, [registry[name]])]


def _next_steps(name: str, *, mail: bool) -> str:
    words = f"\n  - the mail's texts: mail_templates/{name}.jinja" if mail else ""
    contract = "".join(part.capitalize() for part in name.split("_"))
    return f"""
Next:
  - its payload, priority and retries: moneyflow/jobs/{name}.py, then
      moneyflow contracts freeze --overwrite {name}
  - its handler: workers/jobs/{name}.py{words}
  - its test: tests/integration/test_{name}.py
  - enqueue it, in the transaction that it follows from:
      enqueue(session, {contract}(user_id=user_id))

  make check
  make test ARGS="tests/integration/test_{name}.py tests/unit/test_completeness.py"

Every feature, with an example that runs: workers/jobs/README.md"""
