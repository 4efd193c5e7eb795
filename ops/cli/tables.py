"""Tables that fit the terminal: a grid where it has room, else a line for each row with its other cells below.

An id, a kind, a time or a count is one word for an operator, who copies it: such a cell is never cut or broken. Prose,
such as a message or a reason, wraps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions
from rich.text import Text

#: Characters of one text that are printed for people; `--json` prints all of it.
_LONGEST_CELL = 16 * 1024
#: Characters that a terminal may obey or cannot print, escaped.
_CODES = (*range(0x20), *range(0x7F, 0xA0), *range(0xD800, 0xE000))
_CONTROL = {code: f"\\x{code:02x}" for code in _CODES if chr(code) not in "\t\n"}
#: Columns of characters between two cells, before the cells below a line, and for prose that is still readable.
_GAP, _INDENT, _PROSE = 2, 2, 24
#: A longer word is none that an operator copies, such as a traceback's path, and may be broken.
_LONGEST_WORD = 64


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column; the cells of one that does not wrap are never broken."""

    name: str
    wraps: bool = False


def prose(name: str) -> Column:
    """Return a column of text that wraps."""
    return Column(name=name, wraps=True)


def plain(text: str, *, style: str = "") -> Text:
    """Return untrusted text as it is: without markup, with control characters escaped, and cut when it is long."""
    left_out = len(text) - _LONGEST_CELL
    note = f"… ({left_out} more characters; see them with --json)" if left_out > 0 else ""
    return Text(text[:_LONGEST_CELL].translate(_CONTROL) + note, style=style)


def shown(value: object) -> str:
    """Return a value as text for people; a time in UTC to the second."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)


class Listing:
    """Rows under their columns, laid out for the width of the console that prints them."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[object]], *, title: str | None) -> None:
        self._columns = columns
        self._rows = [[cell if isinstance(cell, Text) else plain(shown(cell)) for cell in row] for row in rows]
        self._title = title
        cells = [[row[at] for row in self._rows] for at in range(len(columns))]
        self._natural = [
            max(map(_width, (Text(column.name), *part))) for column, part in zip(columns, cells, strict=True)
        ]
        self._least = [
            min(natural, max(_PROSE, _longest_word(part))) if column.wraps else natural
            for column, natural, part in zip(columns, self._natural, cells, strict=True)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the title, the header and the lines of each row."""
        width = options.max_width
        if self._title:
            yield from _wrapped(console, Text(self._title, style="bold"), width)
        if self._rows:
            widths = self._grid(width)
            yield from self._as_grid(console, widths) if widths else self._as_records(console, width)
        elif not self._title:
            yield Text("none", style="dim")

    def _grid(self, width: int) -> list[int] | None:
        """Return the width of each column of a grid; None when the grid does not fit."""
        widths = list(self._least)
        free = width - sum(widths) - _GAP * (len(widths) - 1)
        if free < 0:
            return None
        while free and (narrow := [at for at, natural in enumerate(self._natural) if widths[at] < natural]):
            for at in narrow[:free]:
                widths[at] += 1
            free -= min(free, len(narrow))
        return widths

    def _as_grid(self, console: Console, widths: Sequence[int]) -> Iterator[Text]:
        header = [Text(column.name, style="bold") for column in self._columns]
        for row in (header, *self._rows):
            cells = [list(_wrapped(console, cell, width)) for cell, width in zip(row, widths, strict=True)]
            for at in range(max(map(len, cells))):
                yield _line([lines[at] if at < len(lines) else Text() for lines in cells], widths)

    def _as_records(self, console: Console, width: int) -> Iterator[Text]:
        head = self._head(width)
        widths = [self._natural[at] for at in head]
        yield _line([Text(self._columns[at].name, style="bold") for at in head], widths)
        for row in self._rows:
            for cells in self._in_lines(console, [row[at] for at in head], width):
                yield _line(cells, widths)
            for text in self._below(row, head, width):
                for line in _wrapped(console, text, width - _INDENT):
                    yield Text(" " * _INDENT) + line

    def _head(self, width: int) -> list[int]:
        """Return the columns that fit into a row's first line, in their order; prose never does."""
        head: list[int] = []
        for at, column in enumerate(self._columns):
            taken = sum(self._natural[other] + _GAP for other in head)
            if not column.wraps and (taken + self._natural[at] <= width or not head):
                head.append(at)
        return head

    def _in_lines(self, console: Console, cells: Sequence[Text], width: int) -> Iterator[list[Text]]:
        lines = [list(_wrapped(console, cell, width)) for cell in cells]
        for at in range(max(map(len, lines))):
            yield [part[at] if at < len(part) else Text() for part in lines]

    def _below(self, row: Sequence[Text], head: Sequence[int], width: int) -> Iterator[Text]:
        """Yield the other cells with their names: prose on lines of its own, what is short together on one."""
        together = Text()
        for at, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
            if at in head or cell.plain in {"", "-"}:
                continue
            named = Text(f"{column.name}: ", style="dim") + cell
            if together and (column.wraps or _width(together) + _width(named) + _GAP > width - _INDENT):
                yield together
                together = Text()
            if column.wraps:
                yield named
            else:
                together = Text(" " * _GAP).join([together, named]) if together else named
        if together:
            yield together


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    """Return cells as one line, each filled up to its column's width."""
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell.cell_len + _GAP))
    line.rstrip()
    return line


def _wrapped(console: Console, text: Text, width: int) -> Iterator[Text]:
    """Yield the lines of a text; only a word that is longer than a line is broken."""
    for line in text.wrap(console, max(width, 1), overflow="fold") or [Text()]:
        line.rstrip()
        yield line


def _width(text: Text) -> int:
    """Return the columns of a terminal that the longest line of a text takes."""
    return max((line.cell_len for line in text.split("\n")), default=0)


def _longest_word(cells: Sequence[Text]) -> int:
    """Return the width of the longest word that is not broken."""
    words = (Text(word).cell_len for cell in cells for word in cell.plain.split())
    return max((width for width in words if width <= _LONGEST_WORD), default=0)
