"""Statement: what its file shows, and its form between two processes."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal
from uuid import UUID

import orjson
from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A transaction; `category` has the name of its parent before its own."""

    id: UUID
    date: dt.date
    kind: Literal["income", "expense"]
    amount: Decimal
    currency: str
    category: str
    note: str
    tags: tuple[str, ...]

    @property
    def signed_amount(self) -> Decimal:
        """Return the amount as it changes the balance: an expense is below zero."""
        return self.amount if self.kind == "income" else -self.amount


@dataclass(frozen=True, kw_only=True)
class Statement:
    """The entries of the days of a person, in their order."""

    name: str
    first_day: dt.date
    last_day: dt.date
    entries: tuple[Entry, ...]


_FORM = TypeAdapter(Statement)


def dumps(statement: Statement) -> bytes:
    """Return a statement as JSON."""
    return orjson.dumps(statement, default=str)


def loads(text: bytes) -> Statement:
    """Return the statement that `dumps` has written."""
    return _FORM.validate_json(text)
