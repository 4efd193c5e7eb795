"""`/v1/analytics`: what the caller's transactions add up to, as the analytics sink has counted them."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import falcon
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.fields import Currency, Day, Id
from api.guards import owner_scope, signed_in
from api.queries import query_model, query_of
from moneyflow.analytics import freshness, pages
from moneyflow.analytics.freshness import Freshness
from moneyflow.analytics.pages import Choice, CurrencyMoney, PeriodMoney
from moneyflow.analytics.ranges import Interval, Range
from moneyflow.money.amounts import write_sum
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.http.answers import Answer, json_answer

_Sum = Annotated[str, Field(examples=["12.34"])]
_AsOf = Annotated[
    dt.datetime | None,
    Field(description="All that happened until then is counted; null while nothing is counted yet."),
]
_Lag = Annotated[float | None, Field(description="Seconds since `as_of`.")]


class CategorySumView(TypedDict):
    """Income and expense of one category; `category_id` is null for transactions without one."""

    category_id: UUID | None
    income: _Sum
    expense: _Sum


class CurrencySumView(TypedDict):
    """Income and expense of one currency, and of each of its categories."""

    currency: Annotated[str, Field(examples=["EUR"])]
    income: _Sum
    expense: _Sum
    net: _Sum
    by_category: list[CategorySumView]


class SummaryView(TypedDict):
    """The sums of a range of days, and how fresh they are."""

    as_of: _AsOf
    lag_seconds: _Lag
    items: list[CurrencySumView]


class BalanceView(TypedDict):
    """The balance of a currency before the range."""

    currency: Annotated[str, Field(examples=["EUR"])]
    balance: _Sum


class PeriodSumView(TypedDict):
    """Income and expense of one currency in a period, which is named by its first day, and the balance after it."""

    period: dt.date
    currency: Annotated[str, Field(examples=["EUR"])]
    income: _Sum
    expense: _Sum
    net: _Sum
    balance: _Sum


class CashflowView(TypedDict):
    """The periods of a range in which there was any money, and how fresh they are."""

    as_of: _AsOf
    lag_seconds: _Lag
    opening: list[BalanceView]
    items: list[PeriodSumView]


SummaryQuery = TypedDict(
    "SummaryQuery",
    {
        "from": Annotated[Day, Field(description="The first day.")],
        "to": Annotated[Day, Field(description="The last day.")],
        "currency": Currency,
        "category": Annotated[Id, Field(description="A category; its subcategories are included.")],
    },
    total=False,
)


class CashflowQuery(SummaryQuery, total=False):
    """Those of a summary, and how long a period is."""

    interval: Annotated[Interval, Field(description="How long a period is; a month without it.")]


_SUMMARY, _CASHFLOW = query_model(SummaryQuery), query_model(CashflowQuery)


class Summary:
    """The sums of the caller's transactions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes(
        "summarize",
        answers={200: SummaryView},
        parameters=SummaryQuery.__annotations__,
        errors=(InvalidInputError,),
    )
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return income and expense of each currency in a range of days, and of each of its categories."""
        choice = _choice(query_of(request, _SUMMARY))
        with self._database.autocommit() as session:
            fresh = freshness.of_transactions(session)
            found = pages.summary(owner_scope(request, session), choice)
        send(request, response, _answer(fresh, items=[_currency_view(one) for one in found]))


class Cashflow:
    """The caller's money over time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes(
        "read_cashflow",
        answers={200: CashflowView},
        parameters=CashflowQuery.__annotations__,
        errors=(InvalidInputError,),
    )
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return income, expense and balance of each day, week (from Monday), month or year of a range.

        A period that the range has in part counts its days in the range. One without transactions is left out: its
        balance is that of the period before, and before the first one that in `opening`.
        """
        query = query_of(request, _CASHFLOW)
        choice = _choice(query)
        with self._database.autocommit() as session:
            fresh = freshness.of_transactions(session)
            scope = owner_scope(request, session)
            found = pages.cashflow(scope, choice, interval=query.get("interval", "month"))
        opening = [
            BalanceView(currency=currency, balance=write_sum(balance, currency)) for currency, balance in found.opening
        ]
        send(request, response, _answer(fresh, opening=opening, items=[_period_view(one) for one in found.periods]))


def _choice(query: SummaryQuery) -> Choice:
    days = Range.of(query.get("from"), query.get("to"))
    return Choice(days=days, currency=query.get("currency"), category_id=query.get("category"))


def _answer(fresh: Freshness, **content: object) -> Answer:
    return json_answer({"as_of": fresh.as_of, "lag_seconds": fresh.lag_seconds, **content})


def _currency_view(found: CurrencyMoney) -> CurrencySumView:
    currency = found.currency
    by_category = [
        CategorySumView(
            category_id=one.category_id,
            income=write_sum(one.income, currency),
            expense=write_sum(one.expense, currency),
        )
        for one in found.by_category
    ]
    return CurrencySumView(
        currency=currency,
        income=write_sum(found.income, currency),
        expense=write_sum(found.expense, currency),
        net=write_sum(found.net, currency),
        by_category=by_category,
    )


def _period_view(found: PeriodMoney) -> PeriodSumView:
    return PeriodSumView(
        period=found.period,
        currency=found.currency,
        income=write_sum(found.income, found.currency),
        expense=write_sum(found.expense, found.currency),
        net=write_sum(found.net, found.currency),
        balance=write_sum(found.balance, found.currency),
    )
