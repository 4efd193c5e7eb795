"""Pages of a user's transactions, the newest first, by filters: in bounded time over a million of them.

Which way to a page is the fastest depends on how common is what fits, and where in the list it is. No statistics of
Postgres know that of one user. So the ways are taken one after the other, each of them bounded:

1. **Follow** an index that has the list's order: of all transactions, of those of a kind, of those of each category.
   Without a search (amount, tag, text) that is the page, at any depth.
2. **Walk** through some rows in the list's order and keep those that fit: what is common fills the page.
3. **Gather** what fits by the indexes of amounts, of categories, of tags and texts, up to a number of rows, and sort
   it: what is rare is all there.
4. **Walk on** until the time is up: what is neither common here nor rare is found, or the caller gives a narrower
   range.
"""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.errors import QueryCanceled
from psycopg.rows import DictRow

from moneyflow.money import categories
from moneyflow.money.transaction_filters import Filters
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.http.pages import Keyset, Page
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import array, load_queries

BY_DATE = Keyset(name="transactions", columns={"date": dt.date.fromisoformat, "id": UUID})

#: SQL that the statements share.
FRAGMENTS = Path(__file__).with_name("fragments.sql")
_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: Categories whose lists are merged; more of them are searched for.
_MOST_MERGED = 100
_ALL_ROWS = 2**31 - 1
#: Before and after all places in the list.
_FIRST_DAY, _LAST_DAY, _NO_ID = dt.date.min, dt.date.max, UUID(int=0)

#: PERF: a plan that goes by an index with the list's order, also where the statistics are stale. Such a plan suits all
#: values, and is kept: planning takes half of the time of a page.
_IN_ORDER = {
    "plan_cache_mode": "force_generic_plan", "jit": "off", "max_parallel_workers_per_gather": "0",
    "enable_seqscan": "off", "enable_bitmapscan": "off", "enable_sort": "off", "enable_incremental_sort": "off",
}  # fmt: skip
#: PERF: the same for a walk, where a search has to leave out what it does not look for.
_WALKING = {**_IN_ORDER, "plan_cache_mode": "force_custom_plan"}
#: PERF: a plan for just these values that goes by the indexes of what fits.
_BY_BITMAPS = {
    **_WALKING, "enable_bitmapscan": "on", "enable_sort": "on", "enable_indexscan": "off", "enable_indexonlyscan": "off"
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a search may take: the rows of a walk, the rows that are gathered, and the seconds of all its statements."""

    walked: int = 10_000
    gathered: int = 20_000
    seconds: float = 0.45


_USUAL = Bounds()


def page_rows(scope: OwnerScope, filters: Filters, page: Page, *, bounds: Bounds = _USUAL) -> Sequence[DictRow]:
    """Return the rows of the transactions of a page, and one more when another page follows.

    Raises:
        InvalidInputError: a filter does not fit, or too many transactions have to be looked at within the bounds.
    """
    filters.check()
    chosen = _categories(scope, filters)
    if chosen is not None and not chosen:
        return ()
    parameters = {**filters.parameters(), **_places(filters, page), **_chosen(chosen), "limit": page.limit + 1}
    if filters.is_search or (chosen is not None and len(chosen) > _MOST_MERGED):
        search = _Search(scope, parameters, filters, bounds, ends_at=time.monotonic() + bounds.seconds)
        rows = search.rows()
    elif chosen is None:
        rows = scope.rows(_QUERIES["walk"], {**parameters, "most": page.limit + 1}, settings=_IN_ORDER)
    else:
        rows = scope.rows(_QUERIES["merge"], {**parameters, "merged": array(chosen)}, settings=_IN_ORDER)
    return rows


@dataclass(frozen=True)
class _Search:
    """A page of transactions that no index has in the list's order."""

    scope: OwnerScope
    parameters: Mapping[str, Any]
    filters: Filters
    bounds: Bounds
    _: KW_ONLY
    ends_at: float

    def rows(self) -> Sequence[DictRow]:
        """Return the rows of the page.

        Raises:
            InvalidInputError: the time is up.
        """
        walked = self._run("walk", _WALKING, most=self.bounds.walked)
        fitting = [row for row in walked if row["fits"]]
        # The last one that the walk has looked at is among them, unless the page or the list ended before.
        is_end = not any(row["place"] == self.bounds.walked for row in walked)
        if is_end or len(fitting) == self.parameters["limit"]:
            return fitting
        gathered = self._gathered()
        return self._run("walk", _WALKING, most=_ALL_ROWS) if gathered is None else gathered

    def _gathered(self) -> Sequence[DictRow] | None:
        """Return the rows of the page; None where too many transactions fit, or no index finds those that do."""
        by_text, by_amount = self.filters.has_indexed_text, self.filters.has_amounts
        if not (by_text or by_amount or self.filters.category_id is not None):
            return None
        named = {"by_text": by_text, "by_amount": by_amount}
        rows = self._run("gather", _BY_BITMAPS, most=self.bounds.gathered + 1, **named)
        return None if rows and rows[0]["gathered"] > self.bounds.gathered else rows

    def _run(self, name: str, settings: Mapping[str, str], **parameters: Any) -> Sequence[DictRow]:
        left = self.ends_at - time.monotonic()
        timeout = {"statement_timeout": f"{max(1, round(left * 1000))}ms"}
        try:
            return self.scope.rows(_QUERIES[name], {**self.parameters, **parameters}, settings={**settings, **timeout})
        except QueryCanceled:
            raise _too_broad() from None


def _categories(scope: OwnerScope, filters: Filters) -> Sequence[UUID] | None:
    """Return the ids of the category and those below it, none where they are of another kind; None without a filter.

    Raises:
        InvalidInputError: the owner has no such category.
    """
    if filters.category_id is None:
        return None
    rows = categories.with_children(scope, filters.category_id)
    return [row["id"] for row in rows if filters.kind in {None, row["kind"]}]


def _chosen(ids: Sequence[UUID] | None) -> Mapping[str, Any]:
    """Return the categories as parameters: one alone has an index with the list's order."""
    if ids is None or len(ids) == 1:
        return {"category_id": ids and ids[0], "category_ids": None}
    return {"category_id": None, "category_ids": array(ids)}


def _places(filters: Filters, page: Page) -> Mapping[str, Any]:
    """Return between which places in the list the page is.

    PERF: one place alone bounds its beginning. By two, Postgres would begin at either of them.
    """
    before = (_LAST_DAY, _NO_ID)
    if filters.until is not None:
        before = (filters.until + dt.timedelta(days=1), _NO_ID)
    if page.after is not None:
        before = min(before, (page.after["date"], page.after["id"]))
    return {"since": filters.since or _FIRST_DAY, "before_date": before[0], "before_id": before[1]}


def _too_broad() -> InvalidInputError:
    problem = "give a narrower range of days by `from` and `to`: too many transactions have to be looked at"
    return InvalidInputError(f"the search takes too long; {problem}", (("/from", problem), ("/to", problem)))
