"""Pages of a list: `?limit=` and `?cursor=`, answered with `items` and `next_cursor`; keyset pagination.

A list declares the columns that it is sorted by, the last of them unique::

    BY_DATE = Keyset(name="transactions", columns={"date": date.fromisoformat, "id": UUID})

    page = BY_DATE.page(limit=…, cursor=…)
    rows = scope.rows(_QUERIES["page"], page.parameters())
    page.of(rows, _shown)

and its query takes `%(limit)s` and, null on the first page, `%(after_date)s` and `%(after_id)s`::

    where owner_id = %(owner_id)s and (%(after_id)s::uuid is null or (date, id) < (%(after_date)s, %(after_id)s))
    order by date desc, id desc limit %(limit)s
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from moneyflow.platform.errors import InvalidInputError

#: Rows of a page at most; the contract's limit.
MAX_LIMIT = 100
#: Rows of a page when the client gives no limit; a screen or two.
DEFAULT_LIMIT = 50
#: Characters; longer than any cursor made here.
_MAX_CURSOR = 1024


@dataclass(frozen=True, kw_only=True)
class Keyset:
    """The sort order of a list: its columns, each with the function that reads its value from text."""

    name: str
    columns: Mapping[str, Callable[[str], Any]]

    def page(self, *, limit: str | None, cursor: str | None) -> "Page":
        """Return the page that a request asks for, by the texts of its query parameters.

        Raises:
            InvalidInputError: a parameter does not fit; `errors` names it.
        """
        return Page(keyset=self, limit=_limit(limit), after=None if cursor is None else self._read(cursor))

    def write(self, row: Mapping[str, Any]) -> str:
        """Return the cursor of the page that begins after this row."""
        values = [str(row[column]) for column in self.columns]
        return base64.urlsafe_b64encode(orjson.dumps([self.name, *values])).rstrip(b"=").decode()

    def _read(self, cursor: str) -> Mapping[str, Any]:
        try:
            return self._values(cursor)
        except (ValueError, TypeError) as error:
            detail = "is not a cursor of this list; take it from `next_cursor`, or leave it out for the first page"
            raise InvalidInputError("the query parameter cursor does not fit", (("/cursor", detail),)) from error

    def _values(self, cursor: str) -> Mapping[str, Any]:
        """Decode a cursor; any text that is not one raises ValueError or TypeError."""
        padded = cursor[:_MAX_CURSOR] + "=" * (-len(cursor) % 4)
        name, *values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != self.name or any("\0" in value for value in values):  # Postgres takes no NUL in a text.
            raise ValueError(cursor)
        pairs = zip(self.columns.items(), values, strict=True)
        return {column: read(value) for (column, read), value in pairs}


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page of a list: at most `limit` rows, after the row with the values of `after`."""

    keyset: Keyset
    limit: int
    after: Mapping[str, Any] | None

    def parameters(self) -> dict[str, Any]:
        """Return the query's parameters; one row more than the page shows whether another page follows."""
        after = {f"after_{column}": self.after and self.after[column] for column in self.keyset.columns}
        return {**after, "limit": self.limit + 1}

    def of(self, rows: Sequence[Mapping[str, Any]], shown: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        """Return the body of the answer: each row as `shown` shows it, and the cursor of the next page if any."""
        on_page = rows[: self.limit]
        has_next = len(rows) > self.limit
        return {
            "items": [shown(row) for row in on_page],
            "next_cursor": self.keyset.write(on_page[-1]) if has_next else None,
        }


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        detail = f"must be a number from 1 to {MAX_LIMIT}"
        raise InvalidInputError("the query parameter limit does not fit", (("/limit", detail),))
    return int(text)
