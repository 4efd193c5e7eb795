"""Pages of sums stay quick however many transactions a user has: they are read by months.

`make acceptance ARGS=events` runs it over 1,000,000 transactions and keeps the milliseconds of each page.
"""

import datetime as dt
import json
import statistics
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from moneyflow.analytics import pages
from moneyflow.analytics.pages import Choice
from moneyflow.analytics.ranges import Range
from moneyflow.analytics.rebuild import Rebuilds
from moneyflow.platform.database import Database
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from tests.support.analytics_world import World, world_of
from tests.support.many_transactions import add_many, add_user

#: The API's.
ROLE = "app"

#: A user's transactions in the short form.
_SHORT = 3000
#: Milliseconds of a page, in the long form, which has the machine to itself; the median counts.
_PAGE_MS = 20
_REPEATED = 9
_FIVE_YEARS = Range(since=dt.date(2015, 1, 1), until=dt.date(2019, 12, 31))


@pytest.fixture
def world(settings: AllSettings) -> Iterator[World]:
    with world_of(settings) as world:
        yield world


@pytest.fixture
def book(world: World, pytestconfig: pytest.Config) -> tuple[UUID, list[UUID]]:
    """Return a user with many transactions over twenty years, which are added up, and the categories."""
    count = pytestconfig.getoption("--sums-of") or _SHORT
    with world.owner.transaction() as session:
        user_id = add_user(session)
        categories = add_many(session, user_id, count)
    rebuilds = Rebuilds(world.rebuilding)
    begun = rebuilds.begin(source="tables", asked_by="ada", reason="a test")
    began = time.perf_counter()
    (*_, done) = rebuilds.run(begun)
    assert done.rows_read == count
    print(f"rebuilt {count / (time.perf_counter() - began):.0f} rows/s")
    return user_id, categories


def test_a_page_of_five_years_by_month_takes_milliseconds_and_is_what_the_tables_say(
    world: World, database: Database, book: tuple[UUID, list[UUID]], pytestconfig: pytest.Config
) -> None:
    user_id, categories = book

    def ran(read: Callable[[OwnerScope], object]) -> float:
        took = []
        for _ in range(_REPEATED):
            began = time.perf_counter()
            with database.autocommit() as session:
                read(OwnerScope(session, user_id))
            took.append(1000 * (time.perf_counter() - began))
        return round(statistics.median(took), 1)

    everything, one = Choice(days=_FIVE_YEARS), Choice(days=_FIVE_YEARS, category_id=categories[0])
    ms = {
        "five years by month": ran(lambda scope: pages.cashflow(scope, everything, interval="month")),
        "of a category and those below it": ran(lambda scope: pages.cashflow(scope, one, interval="month")),
        "five years by week": ran(lambda scope: pages.cashflow(scope, everything, interval="week")),
        "summary of five years": ran(lambda scope: pages.summary(scope, everything)),
    }

    assert world.sums() == world.source_sums()
    folder = pytestconfig.getoption("--sums-results")
    if folder:
        kept = {"transactions": pytestconfig.getoption("--sums-of"), "ms_at_most": _PAGE_MS, "ms": ms}
        Path(folder, "sums.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        assert ms["five years by month"] <= _PAGE_MS


def test_a_page_by_month_reads_the_months_and_the_days_around_them_and_no_other_row(
    world: World, database: Database
) -> None:
    with world.owner.transaction() as session:
        user_id = add_user(session)
        session.execute(
            "insert into transactions (id, user_id, kind, amount, currency, date) "
            "select gen_random_uuid(), %(user)s, 'expense', 1, 'EUR', %(first)s::date + day "
            "from generate_series(0, 729) as day",
            {"user": user_id, "first": dt.date(2024, 1, 1)},
        )
    rebuilds = Rebuilds(world.rebuilding)
    assert list(rebuilds.run(rebuilds.begin(source="tables", asked_by="ada", reason="a test")))
    days = Range(since=dt.date(2024, 2, 16), until=dt.date(2025, 11, 15))

    with database.transaction() as session:
        found = pages.cashflow(OwnerScope(session, user_id), Choice(days=days), interval="month")
        read = session.fetch_one(
            "select sum(idx_tup_fetch + seq_tup_read)::bigint as rows from pg_stat_xact_all_tables "
            "where schemaname = 'analytics' and relname in ('daily_sums', 'monthly_sums')"
        )

    assert (len(found.periods), found.opening) == (22, (("EUR", Decimal(-46)),))
    assert read is not None
    assert 0 < read["rows"] <= 24 + 2 * 31
