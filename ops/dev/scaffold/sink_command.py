"""`moneyflow new sink`: write a sink, and add it to the lists of all sinks."""

from pathlib import Path
from typing import Annotated

import typer

from ops.cli.output import AsJson, print_json
from ops.dev.contracts.commands import check_checkout
from ops.dev.scaffold.job import write
from ops.dev.scaffold.sink import NewSink, files_of, new_sink
from ops.dev.scaffold.sink_lists import lists_with

_ROOT = Path(__file__).parents[3]


def sink(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the sink's name, of the form daily_sign_ups")],
    *,
    event: Annotated[str, typer.Option("--event", metavar="TYPE", help="the event that it reads: user.created")],
    does: Annotated[str | None, typer.Option("--does", help="what it does, in a few words")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a sink with its tables, migration and test, and add it to the lists of sinks; all pass every check.

    Writes nothing when the name is taken or not valid.
    """
    check_checkout()
    new = new_sink(_ROOT, name, event=event, does=does)
    files, lists = files_of(_ROOT, new), lists_with(_ROOT, name)
    write(_ROOT, files)
    for path, text in lists.items():
        (_ROOT / path).write_text(text, encoding="utf-8")
    if as_json:
        print_json({"sink": name, "files": [*files], "changed": [*lists]})
        return
    for path in files:
        typer.echo(f"wrote {path}")
    for path in lists:
        typer.echo(f"changed {path}")
    typer.echo(_next_steps(new))


def _next_steps(new: NewSink) -> str:
    name, upper = new.name, new.name.upper()
    return f"""
Next:
  - what it keeps: its migration, moneyflow/sinks/models/{name}.py, consumers/sinks/{name}.sql
  - how it writes a batch: consumers/sinks/{name}.py
  - its test: tests/integration/test_{name}_sink.py
  - where you have a .env: POSTGRES_{upper}_PASSWORD and KAFKA_{upper}_PASSWORD in it

  make check
  make test ARGS="tests/integration/test_{name}_sink.py tests/integration/test_migrations.py"
  make up          starts it with all others

The guide: consumers/README.md"""
