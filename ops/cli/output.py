"""Output of commands: JSON for programs, tables for people on standard output; notes and progress on standard error."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, one object, instead of tables")]

#: Characters that a terminal may obey.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Columns of output that is piped or redirected: wide enough that no line is cut.
_WIDE = 240


def console() -> Console:
    """Return the console of standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def fixed(name: str) -> Column:
    """Return a column for ids, which operators copy: its cells are never broken or cut."""
    return Column(name, no_wrap=True, overflow="fold")


def print_json(value: object) -> None:
    """Print one JSON object; ids, times and byte strings as text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(value, default=_as_text, option=options) + b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print a note, which is no part of the answer, to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)


def more(found: int, limit: int) -> None:
    """Note how many rows were left out."""
    if found > limit:
        note(f"and {found - limit} more; see them with --limit {found}, or choose fewer with the filters")


def progress_bar() -> Progress:
    """Return a progress bar on standard error, where that is a terminal."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def passes(text: str) -> Iterator[Callable[[int], object]]:
    """Yield a callback that advances a progress bar of unknown length; it is shown from the first call on."""
    with progress_bar() as bar:
        task = bar.add_task(text, total=None, visible=False)
        yield lambda count: bar.update(task, advance=count, visible=True)


def table(*columns: str | Column, rows: Sequence[Sequence[object]], title: str | None = None) -> RenderableType:
    """Return a table under its title; markup in its cells is shown as plain text."""
    made = Table(*columns)
    for row in rows:
        made.add_row(*(plain(shown(cell)) for cell in row))
    return Group(plain(title, style="bold"), made) if title else made


def plain(text: str, *, style: str = "") -> Text:
    """Return untrusted text as it is: without markup, and with control characters escaped."""
    return Text(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text), style=style)


def shown(value: Any) -> str:
    """Return a value as text for people; a time in UTC to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _as_text(value: object) -> object:
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
