"""Pages of a user's transactions are read by indexes, in bounded work, whatever the filters, depth and statistics.

`make acceptance ARGS=money` runs it over 1,000,000 transactions and keeps the milliseconds of each list.
"""

import datetime as dt
import itertools
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

import pytest
from psycopg.rows import DictRow

from moneyflow.money.transaction_filters import Filters
from moneyflow.money.transaction_pages import BY_DATE, Bounds, page_rows
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.http.pages import Page
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from tests.support.many_transactions import DAYS, FIRST_DAY, add_many, add_user

#: The API's.
ROLE = "app"

_LIMIT = 50
#: A user's transactions, in the short form; others have a tenth of it.
_SHORT = 20_000
_BOUNDS = Bounds(walked=2000, gathered=500, seconds=60)
_ORDERED = {"transactions_expense_idx", "transactions_income_idx", "transactions_category_date_idx"}
_SEARCHED = {"transactions_search_idx", "transactions_amount_idx", "transactions_category_date_idx"}
#: Blocks of 8 kB: each row may be in a block of its own, and the way through an index is short.
_BLOCKS_OF_AN_INDEX = 60

#: A row that is numbered is looked at before the limit ends the walk, and one of each list that is merged.
_AHEAD = 2

#: Milliseconds that a page may take, with its round trips: without a search, by one search, and by any filters.
_FOLLOWED_MS, _SEARCH_MS, _ANY_MS = 20, 100, 500
#: Of the long form; the median counts.
_REPEATED = 5


def _depth(share: float) -> dt.date:
    return FIRST_DAY + dt.timedelta(days=int(DAYS * share))


#: Where a page begins: at the newest, in the middle, near the end.
_DEPTHS = {"first": None, "middle": _depth(0.5), "last": _depth(0.02)}


def _followed(categories: Sequence[UUID]) -> dict[str, Filters]:
    """Return the filters that an index has the list's order for; at most one of each kind of filter in a pair."""
    return {
        "none": Filters(),
        "year": Filters(since=_depth(0.4), until=_depth(0.45)),
        "until": Filters(until=_depth(0.6)),
        "category with ten below it": Filters(category_id=categories[0]),
        "rare category": Filters(category_id=categories[19]),
        "category of the other kind": Filters(category_id=categories[25]),
        "expense": Filters(kind="expense"),
        "income": Filters(kind="income"),
    }


def _searches() -> dict[str, Filters]:
    return {
        "common amounts": Filters(least=Decimal(20), greatest=Decimal(200)),
        "rare amounts": Filters(least=Decimal("1090.5")),
        "one amount": Filters(least=Decimal("54.60"), greatest=Decimal("54.60")),
        "common tag": Filters(tag="groceries"),
        "seldom tag": Filters(tag="trip"),
        "rare tag": Filters(tag="wedding"),
        "no such tag": Filters(tag="nonesuch"),
        "common text": Filters(text="card pay"),
        "seldom text": Filters(text="DENTIST"),
        "rare text": Filters(text="zyxwvut"),
        "no such text": Filters(text="nothing of it"),
        "two letters": Filters(text="an"),
    }


#: Common long ago and absent since: what a search may refuse to look for.
_OF_OLD = {"tag of old": Filters(tag="oldhouse"), "text of old": Filters(text="oldmarket")}


def _pairs(filters: Mapping[str, Filters]) -> Iterator[tuple[str, Filters]]:
    """Yield each two filters of different kinds together."""
    given = {
        name: {key: value for key, value in vars(one).items() if value is not None} for name, one in filters.items()
    }
    for (first, one), (second, other) in itertools.combinations(given.items(), 2):
        if one and other and not one.keys() & other.keys():
            yield f"{first} + {second}", Filters(**one, **other)


def _page(begin: dt.date | None) -> Page:
    page = BY_DATE.page(limit=str(_LIMIT), cursor=None)
    return page if begin is None else replace(page, after={"date": begin, "id": UUID(int=2**127)})


@dataclass(frozen=True)
class _ExplainingScope(OwnerScope):
    """Owner scope that explains each statement, under its settings, before it runs it."""

    plans: list[dict[str, Any]] = field(default_factory=list)

    def rows(
        self, query: LiteralString, parameters: Mapping[str, Any], *, settings: Mapping[str, str] | None = None
    ) -> list[DictRow]:
        if settings:
            explain: LiteralString = f"explain (analyze, buffers, timing off, format json) {query}"
            self.plans.append(super().rows(explain, parameters, settings=settings)[0]["QUERY PLAN"][0]["Plan"])
        return super().rows(query, parameters, settings=settings)


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _indexes(plan: Mapping[str, Any]) -> set[str]:
    return {node["Index Name"] for node in _nodes(plan) if "Index Name" in node} - {"transactions_pkey"}


def _looked_at(plan: Mapping[str, Any]) -> int:
    """Return how many rows of the table the plan reads."""
    scans = [node for node in _nodes(plan) if node.get("Relation Name") == "transactions"]
    return sum(
        int((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]) for node in scans
    )


@pytest.fixture
def count(pytestconfig: pytest.Config) -> int:
    return int(pytestconfig.getoption("--transactions"))


@pytest.fixture
def book(settings: AllSettings, database: Database, count: int) -> tuple[UUID, list[UUID]]:
    """Return a user with many transactions, of whom the statistics know nothing, and the user's categories."""
    owner = Database(settings.conninfo("owner", application_name="test"), size=1)
    owner.open()
    with database.transaction() as session:
        add_many(session, add_user(session), count // 10)
    with owner.autocommit() as session:
        # Not by the server itself, at some moment of the test.
        session.execute("alter table transactions set (autovacuum_enabled = off)")
        session.execute("analyze transactions, categories")
    with database.transaction() as session:
        user_id = add_user(session)
        categories = add_many(session, user_id, count)
    owner.close()
    return user_id, categories


@pytest.fixture
def analyzed(settings: AllSettings, book: tuple[UUID, list[UUID]]) -> tuple[UUID, list[UUID]]:
    """Return the same once the statistics know the user."""
    owner = Database(settings.conninfo("owner", application_name="test"), size=1)
    owner.open()
    with owner.autocommit() as session:
        session.execute("vacuum analyze transactions, categories")
    owner.close()
    return book


def _check_ordered(plan: Mapping[str, Any], name: str) -> None:
    """Check that an index is followed in the list's order, and that no row is read that is not on the page."""
    lists = 11 if "ten below" in name else 1
    assert _indexes(plan) <= _ORDERED, name
    assert _looked_at(plan) <= lists * (_LIMIT + 1) + _AHEAD, name
    sorts = [node for node in _nodes(plan) if "Sort" in node["Node Type"]]
    assert all(node["Plans"][0]["Actual Rows"] <= lists * (_LIMIT + 1) for node in sorts), name
    blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert blocks <= lists * (_LIMIT + 1 + _BLOCKS_OF_AN_INDEX), name


def _check_search(plans: Sequence[Mapping[str, Any]], name: str) -> None:
    """Check that the walk and the gathering, if any, are within their bounds and go by their indexes."""
    walk, *more = plans
    assert _indexes(walk) <= _ORDERED, name
    assert _looked_at(walk) <= _BOUNDS.walked + _AHEAD, name
    for gathering in more[:1]:
        assert _indexes(gathering) <= _SEARCHED, name
        assert any(node["Node Type"] == "Bitmap Heap Scan" for node in _nodes(gathering)), name
    for plan in plans:
        assert not any(node["Node Type"] == "Seq Scan" for node in _nodes(plan)), name


#: Rows of the table that this transaction has read.
_READ = """
select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as rows from pg_stat_xact_user_tables
where relname = 'transactions'
"""


@pytest.mark.parametrize("known", ["book", "analyzed"])
def test_a_page_is_read_by_its_indexes_in_bounded_work(
    database: Database, request: pytest.FixtureRequest, known: str
) -> None:
    user_id, categories = request.getfixturevalue(known)
    followed = _followed(categories)
    searches = _searches() | _OF_OLD

    for name, filters in [*followed.items(), *_pairs(followed)]:
        for begin in _DEPTHS.values():
            with database.autocommit() as session:
                scope = _ExplainingScope(session, user_id)
                page_rows(scope, filters, _page(begin), bounds=_BOUNDS)
            for plan in scope.plans:
                _check_ordered(plan, name)
    for name, filters in searches.items():
        with database.autocommit() as session:
            scope = _ExplainingScope(session, user_id)
            page_rows(scope, filters, _page(None), bounds=_BOUNDS)
        _check_search(scope.plans, name)
    assert {"rare text", "rare tag"} <= searches.keys()


def test_the_kept_plan_of_a_list_reads_no_more_than_its_page(database: Database, book: tuple[UUID, list[UUID]]) -> None:
    """A plan is kept once the driver has prepared the statement; what it reads is counted by Postgres."""
    user_id, categories = book
    until_prepared = 7

    for name, filters in _followed(categories).items():
        lists = 11 if "ten below" in name else 1
        for begin in _DEPTHS.values():
            with database.transaction() as session:
                before = session.fetch_one(_READ)
                for _ in range(until_prepared):
                    page_rows(OwnerScope(session, user_id), filters, _page(begin))
                after = session.fetch_one(_READ)
            assert before is not None
            assert after is not None
            assert after["rows"] - before["rows"] <= until_prepared * (lists * (_LIMIT + 1) + _AHEAD), (name, begin)


def test_a_rare_text_or_tag_is_found_by_the_index_of_searches_alone(
    database: Database, book: tuple[UUID, list[UUID]]
) -> None:
    """The statistics know nothing of this user: they would have all of a small user's rows read."""
    user_id, _ = book

    for filters in (Filters(tag="wedding"), Filters(text="zyxwvut"), Filters(tag="trip", text="dentist")):
        with database.autocommit() as session:
            scope = _ExplainingScope(session, user_id)
            page_rows(scope, filters, _page(None), bounds=_BOUNDS)
        assert [_indexes(plan) for plan in scope.plans[1:]] == [{"transactions_search_idx"}]


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """How long a page took, the median; `refused` when it was answered by the request for a narrower range."""

    filters: str
    begins: str
    ms: float
    refused: bool


def _measured(database: Database, user_id: UUID, name: str, filters: Filters, *, times: int) -> list[_Figure]:
    """Return the figures of a list at each depth."""
    figures = []
    for begins, begin in _DEPTHS.items():
        took, refused = [], False
        for _ in range(times):
            began = time.perf_counter()
            try:
                with database.autocommit() as session:
                    page_rows(OwnerScope(session, user_id), filters, _page(begin))
            except InvalidInputError as error:
                refused = "narrower range" in error.detail
            took.append(1000 * (time.perf_counter() - began))
        figures.append(_Figure(filters=name, begins=begins, ms=round(statistics.median(took), 1), refused=refused))
    return figures


def _by_list(figures: Sequence[_Figure]) -> dict[str, str]:
    """Return the milliseconds of each list at each depth, in one line."""
    shown: dict[str, list[str]] = defaultdict(list)
    for figure in figures:
        shown[figure.filters].append(f"{figure.begins} {figure.ms}{' refused' if figure.refused else ''}")
    return {name: ", ".join(parts) for name, parts in shown.items()}


def test_the_lists_of_a_user_with_many_transactions_take_milliseconds(
    database: Database, analyzed: tuple[UUID, list[UUID]], pytestconfig: pytest.Config
) -> None:
    """The bounds count in the long form alone, which has the machine to itself."""
    user_id, categories = analyzed
    folder = pytestconfig.getoption("--money-results")
    followed, searches = _followed(categories), _searches()
    groups = {
        "followed": (_FOLLOWED_MS, {**followed, **dict(_pairs(followed))}),
        "searches": (_SEARCH_MS, searches),
        "any": (_ANY_MS, {**_OF_OLD, **dict(_pairs({**followed, **searches, **_OF_OLD}))}),
    }

    figures = {
        group: [
            figure
            for name, filters in lists.items()
            for figure in _measured(database, user_id, name, filters, times=_REPEATED if folder else 1)
        ]
        for group, (_, lists) in groups.items()
    }

    assert not [figure for figure in figures["followed"] + figures["searches"] if figure.refused]
    if folder:
        slow = [figure for group, (most, _) in groups.items() for figure in figures[group] if figure.ms > most]
        kept = {group: {"ms_at_most": most, "ms": _by_list(figures[group])} for group, (most, _) in groups.items()}
        Path(folder, "lists.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        assert not slow
