"""Lists of categories and transactions over HTTP: pages, filters, and a 422 that names the parameter to correct."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.books import Book

_TRANSACTIONS, _CATEGORIES = "/v1/transactions", "/v1/categories"


def _list(book: Book, path: str, **parameters: object) -> Any:
    answer = book.call("GET", f"{path}?{urlencode(parameters)}")
    assert answer.status_code == 200, answer.text
    return answer.json


def _pages(book: Book, path: str, **parameters: object) -> list[Any]:
    """Return the items of all pages."""
    items, cursor = [], None
    while True:
        page = _list(book, path, **parameters, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def test_a_list_shows_what_reads_show_page_by_page_the_newest_first(ada: Book, eve: Book) -> None:
    eve.transaction()
    days = ["2026-02-27", "2026-02-28", "2026-02-27", "2026-03-01"]
    added = [ada.transaction(date=day) for day in days]

    listed = _pages(ada, _TRANSACTIONS, limit=2)

    assert listed == sorted(added, key=lambda one: (one["date"], one["id"]), reverse=True)
    deleted = ada.call("DELETE", f"{_TRANSACTIONS}/{added[0]['id']}", If_Match="read")
    assert deleted.status_code == 204
    assert added[0] not in _pages(ada, _TRANSACTIONS)


def test_a_list_has_what_fits_all_filters(ada: Book) -> None:
    food = ada.category(name="Food")
    bakery = ada.category(name="Bakery", parent_id=food["id"])
    bread = ada.transaction(category_id=bakery["id"], amount="12.30", note="Two loaves", tags=["bakery"])
    rice = ada.transaction(
        category_id=food["id"], amount="5", currency="JPY", note="rice, 50%", tags=[], date="2026-03-05"
    )
    wage = ada.transaction(kind="income", amount="2500.00", note="", tags=[])
    found: dict[str, list[Any]] = {
        "from=2026-03-05": [rice], "to=2026-02-28": [wage, bread], "from=2026-02-28&to=2026-02-28": [wage, bread],
        f"category={food['id']}": [rice, bread], f"category={bakery['id']}": [bread], "kind=income": [wage],
        f"category={food['id']}&kind=income": [], "min=12.3": [wage, bread], "max=12.2999": [rice],
        "min=0": [rice, wage, bread], "tag=bakery": [bread], "q=LOAVES": [bread], "q=0%25": [rice],
        "q=e": [rice, bread], "q=o+l&tag=bakery&min=1&max=100&kind=expense&from=2026-01-01": [bread],
    }  # fmt: skip

    listed = {query: ada.call("GET", f"{_TRANSACTIONS}?{query}").json["items"] for query in found}

    assert listed == found


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("from=2026-02-30", ["/from"]),
        ("from=2026-02-02&to=2026-02-01", ["/from"]),
        ("to=yesterday", ["/to"]),
        ("min=2&max=1", ["/min"]),
        ("min=-1&max=1e3", ["/min", "/max"]),
        ("min=1,5", ["/min"]),
        ("category=food", ["/category"]),
        ("category=0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11", ["/category"]),
        ("kind=gift", ["/kind"]),
        ("tag=", ["/tag"]),
        ("q=%20", ["/q"]),
        ("q=a%00b", ["/q"]),
        ("kind=income&kind=expense", ["/kind"]),
        ("limit=1&limit=2", ["/limit"]),
        ("limit=101", ["/limit"]),
        ("cursor=abc", ["/cursor"]),
        ("sort=amount", ["/sort"]),
        ("page=2&a~/b=1", ["/page", "/a~0~1b"]),
    ],
)
def test_a_parameter_that_does_not_fit_is_named(ada: Book, query: str, pointers: list[str]) -> None:
    answer = ada.call("GET", f"{_TRANSACTIONS}?{query}")

    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json["errors"]] == pointers


def test_a_cursor_is_a_place_in_its_list_with_any_filters_and_in_no_other_list(ada: Book) -> None:
    ada.category()
    ada.category()
    old, middle, new = (ada.transaction(date=f"2026-02-0{day}", kind="income") for day in (1, 2, 3))
    cursor = _list(ada, _TRANSACTIONS, limit=1)["next_cursor"]
    of_categories = _list(ada, _CATEGORIES, limit=1)["next_cursor"]

    assert _list(ada, _TRANSACTIONS, cursor=cursor, kind="income")["items"] == [middle, old]
    assert _list(ada, _TRANSACTIONS, cursor=cursor, **{"from": new["date"]})["items"] == []
    assert ada.call("GET", f"{_TRANSACTIONS}?cursor={of_categories}").status_code == 422


def test_categories_are_listed_page_by_page_in_the_order_of_their_creation(ada: Book, eve: Book) -> None:
    eve.category()
    added = [ada.category(name=name) for name in ("Rent", "Food", "Books")]

    assert _pages(ada, _CATEGORIES, limit=2) == added
    assert ada.call("GET", f"{_CATEGORIES}?kind=income").json["errors"][0]["pointer"] == "/kind"
