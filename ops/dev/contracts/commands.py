"""`moneyflow contracts`: freeze the contracts of jobs, events and the API, and check the code against them."""

from pathlib import Path
from typing import Annotated

import typer

from moneyflow import events, jobs
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.events import system
from moneyflow.platform.suggestions import did_you_mean
from ops.cli.output import AsJson, print_json
from ops.dev.contracts import document, frozen
from ops.dev.contracts.frozen import Contract

app = typer.Typer(
    no_args_is_help=True, help="freeze the contracts of jobs, events and the API, and check the code against them"
)

_ROOT = Path(__file__).parents[3]


@app.callback()
def group() -> None:
    """Freeze the contracts of jobs, events and the API, and check the code against them."""


@app.command()
def freeze(
    *,
    overwrite: Annotated[
        list[str] | None,
        typer.Option(
            "--overwrite",
            metavar="NAME",
            help="freeze this job or event, or openapi, again: its version was never deployed",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the schema of each new version, and what the API has more, to tests/contracts/; all else stays as it is."""
    check_checkout()
    names = set(overwrite or ())
    again = [contract for name in names - {document.NAME} for contract in _contracts_of(name)]
    written = frozen.freeze(_ROOT, again, overwrite=True) + frozen.freeze(_ROOT, _contracts())
    written += document.freeze(_ROOT, document.current(_ROOT), overwrite=document.NAME in names)
    if as_json:
        print_json({"written": written})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    if not written:
        typer.echo("nothing new to freeze; `moneyflow contracts check` compares the code with what is frozen")


@app.command()
def check(*, as_json: AsJson = False) -> None:
    """Compare the code with the frozen contracts; exit with 1 and what to do where a version has changed."""
    check_checkout()
    api = document.current(_ROOT)
    problems, notices = [*frozen.check(_ROOT, _contracts()), *document.check(_ROOT, api)], document.notices(_ROOT, api)
    if as_json:
        print_json({"problems": [vars(problem) for problem in problems], "notices": list(notices)})
    for line in [] if as_json else [*problems, *notices]:
        typer.echo(line, err=True)
    if problems:
        raise typer.Exit(1)


def _contracts() -> list[Contract]:
    assert system, "the import declares the platform's own events"
    return [*jobs.registry.values(), *events.registry.values()]


def _contracts_of(name: str) -> list[Contract]:
    found = [contract for contract in _contracts() if contract.payload_name == name]
    if not found:
        names = [document.NAME, *(contract.payload_name for contract in _contracts())]
        advice = did_you_mean(name, names, otherwise=f"there are: {', '.join(sorted(names))}")
        raise InvalidInputError(f"--overwrite: there is no job or event {name!r}; {advice}")
    return found


def check_checkout() -> None:
    """Check that the code is a checkout, into which files can be written; raises ConflictError."""
    if not (_ROOT / "tests").is_dir():
        raise ConflictError(f"{_ROOT} is no checkout of Money Flow; run .venv/bin/moneyflow of a checkout")
