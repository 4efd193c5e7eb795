"""Output of commands: JSON for programs, tables for people on standard output; notes and progress on standard error."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import orjson
import typer
from rich.console import Console

from moneyflow.platform.json_text import dumps
from ops.cli.tables import Column, Listing, plain, prose, shown

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = [
    "AsJson", "Column", "console", "more", "note", "passes", "plain", "print_json", "progress_bar", "prose",
    "shown", "table",
]  # fmt: skip

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, one object, instead of tables")]

#: Columns of output that is piped or redirected, unless COLUMNS says otherwise: wide enough that no line is cut.
_WIDE = 240


def console() -> Console:
    """Return the console of standard output."""
    return Console(highlight=False, width=shutil.get_terminal_size((_WIDE, 24)).columns)


def print_json(value: object) -> None:
    """Print one JSON object; ids, times and byte strings as text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(dumps(value, default=_as_text, option=options) + b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Print a note, which is no part of the answer, to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)


def more(found: int, limit: int) -> None:
    """Note how many rows were left out."""
    if found > limit:
        note(f"and {found - limit} more; see them with --limit {found}, or choose fewer with the filters")


def progress_bar() -> "Progress":
    """Return a progress bar on standard error, where that is a terminal."""
    from rich.progress import Progress  # noqa: PLC0415 - PERF: most commands take no time

    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


@contextmanager
def passes(text: str) -> Iterator[Callable[[int], object]]:
    """Yield a callback that advances a progress bar of unknown length; it is shown from the first call on."""
    with progress_bar() as bar:
        task = bar.add_task(text, total=None, visible=False)
        yield lambda count: bar.update(task, advance=count, visible=True)


def table(*columns: str | Column, rows: Sequence[Sequence[object]], title: str | None = None) -> Listing:
    """Return a table under its title; only the cells of a `prose` column wrap."""
    named = [column if isinstance(column, Column) else Column(name=column) for column in columns]
    return Listing(named, rows, title=title)


def _as_text(value: object) -> object:
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
