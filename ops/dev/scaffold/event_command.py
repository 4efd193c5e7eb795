"""`moneyflow new event`: write an event, and its topic where that is new too."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from moneyflow.events import registry
from ops.cli.output import AsJson, print_json
from ops.dev.contracts import frozen
from ops.dev.contracts.commands import check_checkout
from ops.dev.scaffold.event import TOPICS, NewEvent, files_of, new_event
from ops.dev.scaffold.job import write

_ROOT = Path(__file__).parents[3]


def event(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the event's type, of the form invoice.sent")],
    *,
    does: Annotated[str | None, typer.Option("--does", help="what it says, in a few words")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME:TYPE", help="of its data: amount:Decimal, note_id:UUID?; repeatable"),
    ] = None,
    no_user: Annotated[bool, typer.Option("--no-user", help="on a new topic: it is about no user")] = False,
    as_json: AsJson = False,
) -> None:
    """Write an event's contract, its frozen schema, sample and test, and a topic for a new noun; they pass every check.

    Writes nothing when the name is taken or not valid.
    """
    check_checkout()
    new = new_event(name, does=does, with_user=not no_user, fields=field or ())
    files = files_of(_ROOT, new)
    changed = [path for path in files if (_ROOT / path).exists() and path != new.test]
    write(_ROOT, {path: text for path, text in files.items() if path not in changed})
    for path in changed:
        (_ROOT / path).write_text(files[path], encoding="utf-8")
    written = [*(path for path in files if path not in changed), *_freeze(new)]
    if as_json:
        print_json({"event": name, "files": written, "changed": changed})
        return
    for path in written:
        typer.echo(f"wrote {path}")
    for path in changed:
        typer.echo(f"changed {path}")
    typer.echo(_next_steps(new, with_topic=TOPICS in changed))


def _freeze(new: NewEvent) -> list[str]:
    """Freeze the contract that was written."""
    importlib.invalidate_caches()
    for name in ("topics", new.noun):  # One that was there has been read before it was changed.
        importlib.reload(importlib.import_module(f"moneyflow.events.{name}"))
    return [str(path) for path in frozen.freeze(_ROOT, [registry[new.type]])]


def _next_steps(new: NewEvent, *, with_topic: bool) -> str:
    values = ", ".join(f"{field.name}={field.name}" for field in new.fields if field.required)
    topic = f"\n  - its topic, {new.topic}: `make up` or `python -m ops.migrate` creates it" if with_topic else ""
    return f"""
Next:
  - its data, without any personal data: {new.module}, then
      moneyflow contracts freeze --overwrite {new.type}
  - a realistic sample: tests/contracts/events/samples/{new.type}.1.json
  - its test: {new.test}{topic}
  - emit it, in the transaction of the change, after the change; `sequence` is the version of {new.subject}:
      emit(session, {new.contract}(sequence=version, {values}))

  make check
  make test ARGS="{new.test} tests/unit/test_event_contracts.py"

Its schema is at /schemas/{new.type}/1, and it is in /asyncapi.json. Who reads events: consumers/README.md"""
