"""`/v1/analytics`: the caller's sums by category and over time, how fresh they are, and what is refused."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from moneyflow.analytics import freshness
from moneyflow.events.topics import TRANSACTION_EVENTS
from moneyflow.platform import clock
from moneyflow.settings import AllSettings
from tests.support.analytics_world import World, world_of
from tests.support.api import Api
from tests.support.books import NO_ID, Book, book_of, pointers_of


@pytest.fixture
def world(settings: AllSettings) -> Iterator[World]:
    with world_of(settings) as world:
        yield world


@pytest.fixture
def counted(world: World) -> Callable[[], None]:
    """Return a function that lets the sink count all that has happened."""

    def count() -> None:
        for record in world.publish():
            world.deliver([record])

    return count


def _items(book: Book, path: str) -> list[Any]:
    answer = book.call("GET", path)
    assert answer.status_code == 200, answer.text
    items: list[Any] = answer.json["items"]
    return items


def test_a_summary_has_each_currency_with_its_categories_and_exact_decimals(
    ada: Book, counted: Callable[[], None]
) -> None:
    food = ada.category(name="Food")["id"]
    ada.transaction(amount="12.30", category_id=food)
    ada.transaction(amount="0.70")
    ada.transaction(kind="income", amount="1000", currency="JPY")
    counted()

    yen, euro = sorted(_items(ada, "/v1/analytics/summary"), key=lambda item: item["net"], reverse=True)

    assert yen["by_category"] == [{"category_id": None, "income": "1000", "expense": "0"}]
    assert (yen["currency"], yen["net"]) == ("JPY", "1000")
    assert (euro["currency"], euro["income"], euro["expense"], euro["net"]) == ("EUR", "0.00", "13.00", "-13.00")
    assert sorted(one["expense"] for one in euro["by_category"]) == ["0.70", "12.30"]


def test_cashflow_has_the_periods_with_money_and_the_balance_from_the_first_transaction_on(
    ada: Book, counted: Callable[[], None]
) -> None:
    for day, kind, amount in (
        ("2025-12-31", "income", "100.00"),
        ("2026-01-15", "expense", "30.00"),
        ("2026-01-31", "expense", "5.00"),
        ("2026-03-01", "income", "1.00"),
    ):
        ada.transaction(date=day, kind=kind, amount=amount)
    counted()

    answer = ada.call("GET", "/v1/analytics/cashflow?from=2026-01-16&to=2026-12-31").json

    assert answer["opening"] == [{"currency": "EUR", "balance": "70.00"}]
    assert [(one["period"], one["net"], one["balance"]) for one in answer["items"]] == [
        ("2026-01-01", "-5.00", "65.00"),
        ("2026-03-01", "1.00", "66.00"),
    ]


@pytest.mark.parametrize(
    ("interval", "periods"),
    [
        ("day", ["2025-12-31", "2026-01-15", "2026-01-31"]),
        ("week", ["2025-12-29", "2026-01-12", "2026-01-26"]),
        ("month", ["2025-12-01", "2026-01-01"]),
        ("year", ["2025-01-01", "2026-01-01"]),
    ],
)
def test_the_periods_of_each_interval_add_up_to_the_same_balance(
    ada: Book, counted: Callable[[], None], interval: str, periods: list[str]
) -> None:
    for day in ("2025-12-31", "2026-01-15", "2026-01-31"):
        ada.transaction(date=day, amount="1.00")
    counted()

    items = _items(ada, f"/v1/analytics/cashflow?interval={interval}")

    assert [one["period"] for one in items] == periods
    assert items[-1]["balance"] == "-3.00"


@pytest.mark.parametrize("range_", ["", "from=2026-01-10&to=2026-01-20", "from=2026-01-15", "to=2026-02-28",
                                    "from=2025-12-31&to=2026-03-01", "from=2026-01-01&to=2026-01-31"])  # fmt: skip
def test_months_add_up_to_their_days_wherever_a_range_begins_and_ends(
    ada: Book, counted: Callable[[], None], range_: str
) -> None:
    first = dt.date(2025, 12, 25)
    days = [(first + dt.timedelta(days=9 * number)).isoformat() for number in range(9)]
    for day in days:
        ada.transaction(date=day, amount="1.00")
    counted()

    by_day, by_month = (
        sum(float(one["expense"]) for one in _items(ada, f"/v1/analytics/cashflow?interval={interval}&{range_}"))
        for interval in ("day", "month")
    )
    (total,) = _items(ada, f"/v1/analytics/summary?{range_}") or [{"expense": "0"}]

    assert by_day == by_month == float(total["expense"]) > 0


def test_a_category_stands_for_those_below_it_and_a_currency_for_itself_alone(
    ada: Book, counted: Callable[[], None]
) -> None:
    food = ada.category(name="Food")["id"]
    bread = ada.category(name="Bread", parent_id=food)["id"]
    ada.transaction(amount="1.00", category_id=food)
    ada.transaction(amount="2.00", category_id=bread)
    ada.transaction(amount="4.00")
    ada.transaction(amount="8", currency="JPY", category_id=bread)
    counted()

    (in_euro,) = _items(ada, f"/v1/analytics/summary?category={food}&currency=EUR")
    (below,) = _items(ada, f"/v1/analytics/cashflow?category={bread}&currency=EUR")

    assert (in_euro["expense"], below["expense"]) == ("3.00", "2.00")


def test_the_sums_of_another_person_are_not_shown_and_their_category_is_none_of_the_callers(
    ada: Book, eve: Book, counted: Callable[[], None]
) -> None:
    food = ada.category(name="Food")["id"]
    ada.transaction(category_id=food)
    counted()

    assert _items(eve, "/v1/analytics/summary") == []
    assert _items(eve, "/v1/analytics/cashflow") == []
    assert pointers_of(eve.call("GET", f"/v1/analytics/summary?category={food}")) == ["/category"]


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("from=2026-02-01&to=2026-01-01", ["/from"]),
        ("from=today", ["/from"]),
        ("currency=eur", ["/currency"]),
        (f"category={NO_ID}", ["/category"]),
        ("interval=hour", ["/interval"]),
        ("limit=5&since=1", ["/since"]),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(ada: Book, query: str, pointers: list[str]) -> None:
    assert pointers_of(ada.call("GET", f"/v1/analytics/cashflow?{query}")) == pointers


def test_nothing_is_said_of_freshness_before_anything_is_counted(ada: Book) -> None:
    answer = ada.call("GET", "/v1/analytics/summary").json

    assert answer == {"as_of": None, "lag_seconds": None, "items": []}


def test_sums_are_as_fresh_as_the_last_look_of_a_sink_that_has_written_all(ada: Book, world: World) -> None:
    with world.own.transaction() as session:
        freshness.caught_up(session, [(TRANSACTION_EVENTS, 0), (TRANSACTION_EVENTS, 1)], seconds_ago=0)
        freshness.caught_up(session, [(TRANSACTION_EVENTS, 2)], seconds_ago=30)

    assert 30 <= ada.call("GET", "/v1/analytics/cashflow").json["lag_seconds"] < 300


def test_an_event_that_the_relay_has_not_published_is_counted_as_lag(ada: Book, world: World) -> None:
    ada.transaction()
    with world.own.transaction() as session:
        freshness.caught_up(session, [(TRANSACTION_EVENTS, 0)], seconds_ago=0)
    with world.owner.transaction() as session:
        session.execute("update outbox_events set created_at = clock_timestamp() - interval '1 hour'")

    assert ada.call("GET", "/v1/analytics/cashflow").json["lag_seconds"] >= 3600


def test_a_sink_that_is_behind_is_as_fresh_as_its_last_event(ada: Book, world: World) -> None:
    ada.transaction()
    (record,) = (one for one in world.publish() if one.topic == TRANSACTION_EVENTS)
    world.deliver([record])

    as_of = ada.call("GET", "/v1/analytics/cashflow").json["as_of"]
    assert as_of == clock.rfc3339_to_the_second(record.envelope.time)


def test_an_administrator_sees_their_own_sums_alone(api: Api, ada: Book, counted: Callable[[], None]) -> None:
    ada.transaction()
    counted()

    assert _items(book_of(api, role="administrator"), "/v1/analytics/summary") == []
