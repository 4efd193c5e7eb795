"""What an owner reads: the sums of a range by category, and the money of each period with the balance after it."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.analytics.changes import NO_CATEGORY
from moneyflow.analytics.ranges import Interval, Range
from moneyflow.money import categories
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import array, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))

#: PERF: to compile a statement, or to start processes for it, takes longer than a page.
_SETTINGS = {"jit": "off", "max_parallel_workers_per_gather": "0"}
#: Periods of all currencies in one answer: ten years by day.
MOST_PERIODS = 4000


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is added up: a range, of all currencies or one, of all categories or one with those below it."""

    days: Range
    currency: str | None = None
    category_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Money:
    """Income and expense of a currency."""

    currency: str
    income: Decimal
    expense: Decimal

    @property
    def net(self) -> Decimal:
        """Return income without expense."""
        return self.income - self.expense


@dataclass(frozen=True, kw_only=True)
class CategoryMoney(Money):
    """That of one category; None for transactions without one."""

    category_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CurrencyMoney(Money):
    """That of all categories together, and of each."""

    by_category: Sequence[CategoryMoney]


@dataclass(frozen=True, kw_only=True)
class PeriodMoney(Money):
    """That of a period, which is named by its first day, and the balance after it."""

    period: dt.date
    balance: Decimal


@dataclass(frozen=True, kw_only=True)
class Cashflow:
    """The balance of each currency before the range, and the periods in which there was any money."""

    opening: Sequence[tuple[str, Decimal]] = field(default=())
    periods: Sequence[PeriodMoney] = field(default=())


def summary(scope: OwnerScope, choice: Choice) -> list[CurrencyMoney]:
    """Return the money of each currency in a range, and of each of its categories.

    Raises:
        InvalidInputError: the owner has no such category.
    """
    rows = scope.rows(_QUERIES["summary"], _parameters(scope, choice, by_months=True), settings=_SETTINGS)
    return [_of_currency(currency, list(found)) for currency, found in groupby(rows, itemgetter("currency"))]


def cashflow(scope: OwnerScope, choice: Choice, *, interval: Interval, most: int = MOST_PERIODS) -> Cashflow:
    """Return the money of each day, week (from Monday), month or year; a period counts its days in the range.

    Raises:
        InvalidInputError: the owner has no such category, or there are too many periods.
    """
    parameters = _parameters(scope, choice, by_months=interval in {"month", "year"})
    parameters |= {"interval": interval, "limit": most + 1}
    rows = scope.rows(_QUERIES["cashflow"], parameters, settings=_SETTINGS)
    if len(rows) > most:
        problem = f"give a narrower range or a longer interval: there are more than {most} periods"
        raise InvalidInputError(problem, (("/from", problem), ("/to", problem), ("/interval", problem)))
    balances = {row["currency"]: row["income"] - row["expense"] for row in rows if row["period"] is None}
    return Cashflow(opening=tuple(balances.items()), periods=list(_periods(rows, dict(balances))))


def _periods(rows: Sequence[DictRow], balances: dict[str, Decimal]) -> Iterator[PeriodMoney]:
    """Yield the periods, with the balances that they lead to."""
    for row in rows:
        if row["period"] is None:
            continue
        balance = balances.get(row["currency"], Decimal(0)) + row["income"] - row["expense"]
        balances[row["currency"]] = balance
        yield PeriodMoney(**row, balance=balance)


def _of_currency(currency: str, rows: Sequence[DictRow]) -> CurrencyMoney:
    named = [{**row, "category_id": None if row["category_id"] == NO_CATEGORY else row["category_id"]} for row in rows]
    return CurrencyMoney(
        currency=currency,
        income=sum((row["income"] for row in rows), Decimal(0)),
        expense=sum((row["expense"] for row in rows), Decimal(0)),
        by_category=[CategoryMoney(**row) for row in named],
    )


def _parameters(scope: OwnerScope, choice: Choice, *, by_months: bool) -> dict[str, Any]:
    chosen = None
    if choice.category_id is not None:
        chosen = array(row["id"] for row in categories.with_children(scope, choice.category_id))
    return {**choice.days.parameters(by_months=by_months), "currency": choice.currency, "categories": chosen}
