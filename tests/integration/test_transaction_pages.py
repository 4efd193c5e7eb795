"""Lists of transactions: every page and filter shows what a plain model of them shows, whatever way leads to it."""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from moneyflow.money.amounts import read_amount
from moneyflow.money.currencies import DECIMALS
from moneyflow.money.transaction_filters import Filters
from moneyflow.money.transaction_pages import BY_DATE, Bounds, page_rows
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from tests.support.many_transactions import add_transactions, add_user

#: The API's.
ROLE = "app"

_Kind = Literal["income", "expense"]
_WORDS = ("Bread", "bread_50%", "BREAD and milk", "back\\slash", "straße", "ay", "")
_TAGS = ("bakery", "Bakery", "trip", "a,b", '"quoted"')
_DAYS = [dt.date(2026, 2, 27) + dt.timedelta(days=day) for day in range(4)]


@dataclass(frozen=True, kw_only=True)
class _Category:
    id: UUID
    kind: _Kind
    parent_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A transaction as the model has it."""

    id: UUID
    kind: _Kind
    amount: Decimal
    currency: str
    date: dt.date
    category_id: UUID | None
    note: str
    tags: tuple[str, ...]
    deleted: bool

    @property
    def place(self) -> tuple[dt.date, UUID]:
        return self.date, self.id


_FOOD = _Category(id=new_id(), kind="expense")
_CATEGORIES = (
    _FOOD,
    _Category(id=new_id(), kind="expense", parent_id=_FOOD.id),
    _Category(id=new_id(), kind="expense", parent_id=_FOOD.id),
    _Category(id=new_id(), kind="expense"),
    _Category(id=new_id(), kind="income"),
)


@st.composite
def _rows(draw: st.DrawFn) -> _Row:
    category = draw(st.none() | st.sampled_from(_CATEGORIES))
    currency = draw(st.sampled_from(["EUR", "JPY", "KWD"]))
    units = draw(st.integers(1, 40) | st.integers(1, 10**14))
    amount = Decimal(units).scaleb(-DECIMALS[currency])
    return _Row(
        id=draw(st.uuids()),
        kind=category.kind if category else draw(st.sampled_from(["income", "expense"])),
        amount=read_amount(f"{amount:f}", currency),
        currency=currency,
        date=draw(st.sampled_from(_DAYS)),
        category_id=category.id if category else None,
        note=" ".join(draw(st.lists(st.sampled_from(_WORDS), max_size=2))),
        tags=tuple(draw(st.sets(st.sampled_from(_TAGS), max_size=2))),
        deleted=draw(st.integers(0, 9)) == 0,
    )


_amounts = st.none() | st.decimals(0, 1, places=3) | st.decimals(0, 100, places=2)
_filters = st.builds(
    Filters,
    since=st.none() | st.sampled_from(_DAYS),
    until=st.none() | st.sampled_from(_DAYS),
    category_id=st.none() | st.sampled_from([category.id for category in _CATEGORIES]),
    kind=st.sampled_from([None, "income", "expense"]),
    least=_amounts,
    greatest=_amounts,
    tag=st.none() | st.sampled_from(_TAGS),
    text=st.none() | st.sampled_from(["bread", "READ_", "d a", "%", "_", "\\", "ße", "AY", "nothing"]),
)
#: So few rows that every way to a page is taken: the walk that ends it, the walk that does not, and what comes then.
_bounds = st.builds(Bounds, walked=st.integers(1, 12), gathered=st.integers(0, 12), seconds=st.just(30.0))


def _fits(row: _Row, filters: Filters) -> bool:
    """Return whether the model shows a row."""
    categories = {filters.category_id} | {one.id for one in _CATEGORIES if one.parent_id == filters.category_id}
    return (
        not row.deleted
        and (filters.since is None or row.date >= filters.since)
        and (filters.until is None or row.date <= filters.until)
        and (filters.category_id is None or row.category_id in categories)
        and (filters.kind is None or row.kind == filters.kind)
        and (filters.least is None or row.amount >= filters.least)
        and (filters.greatest is None or row.amount <= filters.greatest)
        and (filters.tag is None or filters.tag in row.tags)
        and (filters.text is None or filters.text.lower() in row.note.lower())
    )


def _shown(rows: Sequence[_Row], filters: Filters) -> list[_Row]:
    return sorted((row for row in rows if _fits(row, filters)), key=lambda row: row.place, reverse=True)


def _in_order(filters: Filters) -> Filters:
    """Return the filters with ranges that do not end before they begin."""
    days, amounts = (filters.since, filters.until), (filters.least, filters.greatest)
    if days[0] and days[1] and days[0] > days[1]:
        filters = replace(filters, since=days[1], until=days[0])
    if amounts[0] is not None and amounts[1] is not None and amounts[0] > amounts[1]:
        filters = replace(filters, least=amounts[1], greatest=amounts[0])
    return filters


def _store(session: Session, user_id: UUID, rows: Sequence[_Row]) -> None:
    add_transactions(session, [{**vars(row), "user_id": user_id, "tags": list(row.tags)} for row in rows])


def _book(session: Session, rows: Sequence[_Row]) -> UUID:
    """Store a user with the categories and these rows."""
    user_id = add_user(session)
    session.execute_many(
        "insert into categories (id, user_id, kind, name, parent_id) "
        "values (%(id)s, %(user_id)s, %(kind)s, 'a name', %(parent_id)s)",
        [{**vars(category), "user_id": user_id} for category in _CATEGORIES],
    )
    _store(session, user_id, rows)
    return user_id


def _read(scope: OwnerScope, filters: Filters, limit: int, cursor: str | None, bounds: Bounds) -> dict[str, Any]:
    page = BY_DATE.page(limit=str(limit), cursor=cursor)
    return page.of(page_rows(scope, filters, page, bounds=bounds), lambda row: (row["id"], row["amount"], row["tags"]))


_lists = st.lists(_rows(), max_size=30, unique_by=lambda row: row.id)
#: Each example is rolled back, so one database serves them all.
_often = examples(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(rows=_lists, filters=_filters.map(_in_order), limit=st.integers(1, 8), bounds=_bounds)
@_often
def test_all_pages_together_are_what_fits_the_filters_in_the_lists_order(
    database: Database, rows: list[_Row], filters: Filters, limit: int, bounds: Bounds
) -> None:
    with database.transaction() as session:
        scope = OwnerScope(session, _book(session, rows))
        seen: list[list[Any]] = []
        cursor = None
        while not seen or cursor:
            body = _read(scope, filters, limit, cursor, bounds)
            seen.append(body["items"])
            cursor = body["next_cursor"]
        session.release()

    expected = [(row.id, row.amount, list(row.tags)) for row in _shown(rows, filters)]
    assert [item for items in seen for item in items] == expected
    assert all(len(items) == limit for items in seen[:-1])


@given(rows=_lists, new=_lists, filters=_filters.map(_in_order), limit=st.integers(1, 8), bounds=_bounds)
@_often
def test_what_is_added_above_the_cursor_is_neither_seen_by_later_pages_nor_hides_a_row_of_theirs(
    database: Database, rows: list[_Row], new: list[_Row], filters: Filters, limit: int, bounds: Bounds
) -> None:
    ids = {row.id for row in rows}
    new = [replace(row, date=_DAYS[-1]) for row in new if row.id not in ids]
    with database.transaction() as session:
        user_id = _book(session, rows)
        scope = OwnerScope(session, user_id)
        first = _read(scope, filters, limit, None, bounds)
        shown = _shown(rows, filters)
        if first["next_cursor"] is not None:
            last = shown[limit - 1].place
            _store(session, user_id, [row for row in new if row.place > last])
            later = _read(scope, filters, 100, first["next_cursor"], bounds)
            assert [item[0] for item in first["items"] + later["items"]] == [row.id for row in shown]
        session.release()


@given(rows=_lists)
@_often
def test_the_database_sums_amounts_exactly(database: Database, rows: list[_Row]) -> None:
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[row.kind, row.currency] += row.amount

    with database.transaction() as session:
        found = session.fetch_all(
            "select kind, currency, sum(amount) as sum from transactions where user_id = %(user_id)s group by 1, 2",
            {"user_id": _book(session, rows)},
        )
        session.release()

    assert {(row["kind"], row["currency"]): row["sum"] for row in found} == sums


def test_a_search_that_takes_too_long_is_refused_and_leaves_nothing_on_its_connection(settings: AllSettings) -> None:
    database = Database(settings.conninfo("app", application_name="test"), size=1)
    database.open()
    owner = psycopg.connect(settings.conninfo("owner", application_name="test"))
    with database.transaction() as session:
        user_id = add_user(session)

    with owner:
        owner.execute("lock table transactions")
        with pytest.raises(InvalidInputError, match="narrower range") as refused, database.autocommit() as session:
            _read(OwnerScope(session, user_id), Filters(text="bread"), 50, None, Bounds(seconds=0.2))
    with database.autocommit() as session:
        rows = session.fetch_all("select name, setting from pg_settings where name in ('enable_sort', 'jit')")
        (timeout,) = session.fetch_all("select setting from pg_settings where name = 'statement_timeout'")
        body = _read(OwnerScope(session, user_id), Filters(text="bread"), 50, None, Bounds())
    database.close()

    assert [pointer for pointer, _ in refused.value.errors] == ["/from", "/to"]
    assert {row["setting"] for row in rows} == {"on"}
    assert timeout["setting"] == "30000"
    assert body == {"items": [], "next_cursor": None}


def test_a_category_of_another_user_is_none_to_filter_by(database: Database) -> None:
    with database.transaction() as session:
        eve = add_user(session)
        _book(session, [])
        with pytest.raises(InvalidInputError, match="category"):
            _read(OwnerScope(session, eve), Filters(category_id=_FOOD.id), 1, None, Bounds())
        session.release()
