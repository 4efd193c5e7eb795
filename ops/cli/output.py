"""How commands print: JSON for programs, tables and plain words for people; notes go to standard error."""

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console, Group, RenderableType
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, one object, instead of tables")]


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
#: Lines of what is piped or kept are not cut.
_WIDE = 240


def console() -> Console:
    """Return where answers go."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def fixed(name: str) -> Column:
    """Return a column whose cells are copied, as ids are: it is never broken or cut."""
    return Column(name, no_wrap=True, overflow="fold")


def print_json(value: object) -> None:
    """Print one object; ids, times and byte strings as text."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    sys.stdout.buffer.write(orjson.dumps(value, default=_as_text, option=options) + b"\n")
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """Tell what is no part of the answer."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(text)


def more(found: int, limit: int) -> None:
    """Say that there is more than was shown."""
    if found > limit:
        note(f"and {found - limit} more; see them with --limit {found}, or choose fewer with the filters")


def progress_bar() -> Progress:
    """Return what shows progress on standard error, where that is a terminal."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def table(*columns: str | Column, rows: Sequence[Sequence[object]], title: str | None = None) -> RenderableType:
    """Return a table under its title; its cells are shown as they are, for what comes from outside is no markup."""
    made = Table(*columns)
    for row in rows:
        made.add_row(*(plain(shown(cell)) for cell in row))
    return Group(plain(title, style="bold"), made) if title else made


def plain(text: str, *, style: str = "") -> Text:
    """Return text as it is: no markup, and nothing that a terminal obeys, for it may come from anywhere."""
    return Text(_CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text), style=style)


def shown(value: Any) -> str:
    """Write a value for people; a moment in UTC to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


def _as_text(value: object) -> object:
    if isinstance(value, set | frozenset | tuple):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
