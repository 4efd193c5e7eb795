"""Pages: at most 100 rows, a cursor for the next ones, and a 422 that names the parameter that does not fit."""

import base64
from datetime import date
from uuid import UUID

import falcon
import falcon.testing
import orjson
import pytest

from api.access import Access
from api.problems import install_problems
from api.requests import page_of
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.http.pages import DEFAULT_LIMIT, MAX_LIMIT, Keyset
from moneyflow.platform.ids import new_id

_BY_DATE = Keyset(name="transactions", columns={"date": date.fromisoformat, "id": UUID})


def _rows(count: int) -> list[dict[str, object]]:
    return [{"date": date(2026, 1, 1 + number), "id": new_id(), "amount": number} for number in range(count)]


def _cursor(value: object) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def test_the_first_page_begins_at_the_start_and_asks_for_one_row_more_than_it_shows() -> None:
    page = _BY_DATE.page(limit=None, cursor=None)

    assert page.parameters() == {"after_date": None, "after_id": None, "limit": DEFAULT_LIMIT + 1}


def test_a_page_with_more_after_it_has_the_cursor_that_leads_there() -> None:
    rows = _rows(4)

    body = _BY_DATE.page(limit="3", cursor=None).of(rows, lambda row: row["amount"])
    following = _BY_DATE.page(limit="3", cursor=body["next_cursor"])

    assert body["items"] == [0, 1, 2]
    assert following.parameters() == {"after_date": rows[2]["date"], "after_id": rows[2]["id"], "limit": 4}


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_last_page_has_no_cursor(count: int) -> None:
    body = _BY_DATE.page(limit="3", cursor=None).of(_rows(count), lambda row: row["amount"])

    assert body == {"items": list(range(count)), "next_cursor": None}


@pytest.mark.parametrize("limit", ["1", str(MAX_LIMIT)])
def test_a_limit_up_to_a_hundred_is_taken(limit: str) -> None:
    assert _BY_DATE.page(limit=limit, cursor=None).limit == int(limit)


@pytest.mark.parametrize("limit", ["0", "-1", "101", "ten", "", "1.5", " 1", "1" * 5000, "²", "٣"])
def test_any_other_limit_is_refused_by_its_name(limit: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _BY_DATE.page(limit=limit, cursor=None)

    assert caught.value.errors == (("/limit", "must be a number from 1 to 100"),)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "ä",
        "a" * 100_000,
        _cursor({"transactions": 1}),
        _cursor(7),
        _cursor([]),
        _cursor(["transactions"]),
        _cursor(["transactions", "2026-01-01"]),
        _cursor(["transactions", "2026-01-01", "no uuid"]),
        _cursor(["transactions", "yesterday", str(UUID(int=0))]),
        _cursor(["transactions", 1, 2]),
        _cursor(["transactions", "2026-01-01", str(UUID(int=0)), "more"]),
        _cursor(["categories", "2026-01-01", str(UUID(int=0))]),
        _cursor(["transactions", "2026-01-01\0", str(UUID(int=0))]),
    ],
)
def test_a_cursor_that_this_list_did_not_give_is_refused_by_its_name(cursor: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _BY_DATE.page(limit=None, cursor=cursor)

    assert [pointer for pointer, _ in caught.value.errors] == ["/cursor"]


def test_a_request_is_answered_with_a_page_or_with_a_problem_that_names_the_parameter() -> None:
    class Numbers:
        def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
            page = page_of(request, _BY_DATE)
            response.media = page.of(_rows(5)[: page.limit + 1], lambda row: row["amount"])

    app = falcon.App(middleware=[Access({})])
    install_problems(app, lambda _: None)
    app.add_route("/numbers", Numbers())
    client = falcon.testing.TestClient(app)

    page = client.simulate_get("/numbers", params={"limit": "2"}).json
    refused = client.simulate_get("/numbers", params={"cursor": "nonsense"})

    assert page["items"] == [0, 1]
    assert client.simulate_get("/numbers", params={"cursor": page["next_cursor"]}).status_code == 200
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/cursor")
