"""Entries: the transactions of a period as a statement shows them, read as of one moment and in pieces."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries
from moneyflow.statements.writing.statement import Entry

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def count(scope: OwnerScope, *, first_day: dt.date, last_day: dt.date) -> int:
    """Return the number of the owner's transactions of a period."""
    (row,) = scope.rows(_QUERIES["count"], {"first_day": first_day, "last_day": last_day})
    number: int = row["entries"]
    return number


def read(scope: OwnerScope, *, first_day: dt.date, last_day: dt.date) -> Iterator[list[Entry]]:
    """Yield the owner's transactions of a period in the order of their days, some at a time.

    All are as they were at one moment, because one cursor reads them, in the session's transaction.
    """
    categories = _categories(scope)
    scope.execute(_QUERIES["declare"], {"first_day": first_day, "last_day": last_day})
    while rows := scope.session.fetch_all(_QUERIES["fetch"]):
        yield [_entry(row, categories) for row in rows]
    scope.session.execute(_QUERIES["close"])


def _categories(scope: OwnerScope) -> Mapping[UUID, str]:
    """Return the names of the owner's categories."""
    rows = scope.rows(_QUERIES["categories"], {})
    return {row["id"]: f"{row['parent']}: {row['name']}" if row["parent"] else row["name"] for row in rows}


def _entry(row: DictRow, categories: Mapping[UUID, str]) -> Entry:
    category = categories.get(row.pop("category_id"), "")
    return Entry(**row | {"tags": tuple(row["tags"])}, category=category)
