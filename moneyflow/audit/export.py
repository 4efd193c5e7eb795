"""Export: rows of the audit log in the order of their chains, with their hashes, to be verified elsewhere.

A row's hash can be computed from what the export has of the row (ops/runbooks/audit.md has a program that does so).
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from moneyflow.audit.search import Filter
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))

#: Rows that are read at once; about a megabyte.
_PAGE = 1000
#: What each row has, in this order: bytes as text where they are UTF-8, hashes in hexadecimal.
COLUMNS = (
    "topic", "partition", "position", "kafka_offset", "id", "type", "subject", "time", "actor_id", "correlation_id",
    "key", "value", "previous_hash", "hash", "recorded_at",
)  # fmt: skip

Format = Literal["jsonl", "csv"]


def export(session: Session, chosen: Filter, format: Format) -> Iterator[tuple[int, bytes]]:
    """Yield the export piece by piece, each with its number of rows; the rows in memory are those of two pages."""
    session.execute("set local statement_timeout = 0")
    write: Callable[[Sequence[Any]], bytes] = _csv_line if format == "csv" else _json_line
    if format == "csv":
        yield 0, _csv_line(COLUMNS)
    for page in session.pages(_QUERIES["rows"], chosen.parameters(), rows=_PAGE):
        yield len(page), b"".join(write([_text(cell) for cell in row]) for row in page)


def _json_line(cells: Sequence[Any]) -> bytes:
    return orjson.dumps(dict(zip(COLUMNS, cells, strict=True)), option=orjson.OPT_APPEND_NEWLINE)


def _csv_line(cells: Sequence[Any]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


def _text(cell: object) -> object:
    """Return a cell as JSON and CSV have it; bytes that are not UTF-8 in hexadecimal, as Postgres shows them."""
    if isinstance(cell, bytes):
        try:
            return cell.decode()
        except UnicodeDecodeError:
            return f"\\x{cell.hex()}"
    return cell
