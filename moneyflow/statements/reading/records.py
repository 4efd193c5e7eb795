"""Records of a CSV file: fields between delimiters, in one line or, where a quotation mark is open, in several.

A quotation mark that is never closed costs its own line alone: the lines after it are read again, each by itself.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from moneyflow.statements.reading.rows import RefusedRow

#: Characters of a line, and lines of a record: no bank writes longer ones.
LONGEST_LINE, MOST_LINES = 32 * 1024, 50
#: Columns of a record: no bank has more.
MOST_COLUMNS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The fields of one row, and the line on which it begins."""

    line: int
    fields: list[str]


class _OpenQuoteError(Exception):
    """A record has more lines than a record has, or the file ends in it."""


class _Lines:
    """The lines of a text, each with its number; lines that are too long are left out and kept as refused."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._number = 0
        self._again: deque[tuple[int, str]] = deque()
        #: Lines of the record that is being read.
        self.taken: list[tuple[int, str]] = []
        self.refused: list[RefusedRow] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= MOST_LINES:
            raise _OpenQuoteError
        found = self._again.popleft() if self._again else self._read()
        if found is None:
            if self.taken:
                raise _OpenQuoteError
            raise StopIteration
        self.taken.append(found)
        return found[1]

    def begin(self) -> None:
        """Begin a record."""
        self.taken = []

    def back(self) -> None:
        """Read the lines of this record again, but for its first."""
        self._again.extendleft(reversed(self.taken[1:]))

    def drain(self) -> Iterator[RefusedRow]:
        """Yield the refused lines since the last call."""
        refused, self.refused = self.refused, []
        yield from refused

    def _read(self) -> tuple[int, str] | None:
        while line := self._text.readline(LONGEST_LINE):
            self._number += 1
            if len(line) < LONGEST_LINE or line.endswith(("\n", "\r")):
                return self._number, line
            self._skip_rest()
            reason = f"the line is longer than {LONGEST_LINE} characters"
            self.refused.append(RefusedRow(line=self._number, reason=reason))
        return None

    def _skip_rest(self) -> None:
        while line := self._text.readline(LONGEST_LINE):
            if line.endswith(("\n", "\r")):
                return


def read_records(file: BinaryIO, *, encoding: str, delimiter: str, quote: str = '"') -> Iterator[Record | RefusedRow]:
    """Yield the records of a file, without the empty ones; a byte that the encoding does not have becomes U+FFFD."""
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        yield from _records(_Lines(text), delimiter=delimiter, quote=quote)
    finally:
        text.detach()  # The caller closes the file.


def _records(lines: _Lines, *, delimiter: str, quote: str) -> Iterator[Record | RefusedRow]:
    reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
    while True:
        lines.begin()
        try:
            fields = next(reader, None)
        except (_OpenQuoteError, csv.Error):  # The module refuses a field of more characters than a few lines have.
            lines.back()
            fields = None
        yield from lines.drain()
        if not lines.taken:
            return
        line = lines.taken[0][0]
        if fields is None:
            yield RefusedRow(line=line, reason="a quotation mark is opened and never closed")
        elif len(fields) > MOST_COLUMNS:
            yield RefusedRow(line=line, reason=f"the row has more than {MOST_COLUMNS} columns")
        elif any(map(str.strip, fields)):
            yield Record(line=line, fields=fields)
