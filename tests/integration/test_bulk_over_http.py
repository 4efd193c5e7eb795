"""Bulk over HTTP: up to 500 acts on transactions in one request, all or none of them."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support.books import BREAD, Book, events_of

_PATH = "/v1/transactions/bulk"
_TYPES = ("transaction.created", "transaction.updated", "transaction.deleted")


def _rows(database: Database) -> Any:
    with database.transaction() as session:
        return session.fetch_all("select to_jsonb(transactions) from transactions order by id")


def test_the_acts_of_a_request_are_done_together_each_with_its_event(ada: Book, settings: AllSettings) -> None:
    food = ada.category()
    moved, unchanged, deleted = ada.transaction(), ada.transaction(category_id=food["id"]), ada.transaction()
    before = len(events_of(settings))
    new = [
        BREAD | {"category_id": food["id"], "amount": "7"},
        BREAD | {"currency": "JPY", "amount": "1250", "tags": []},
    ]
    moves = [{"id": one["id"], "category_id": food["id"]} for one in (moved, unchanged)]

    done = ada.call("POST", _PATH, {"create": new, "change_category": moves, "delete": [deleted["id"]]})

    assert done.status_code == 200
    assert done.json["changed"] == [moved["id"], unchanged["id"]]
    assert done.json["deleted"] == [deleted["id"]]
    first, second = (ada.call("GET", f"/v1/transactions/{one}").json for one in done.json["created"])
    assert {name: first[name] for name in BREAD} == BREAD | {"amount": "7.00"}
    assert (second["amount"], second["currency"], second["tags"]) == ("1250", "JPY", [])
    assert ada.call("GET", f"/v1/transactions/{moved['id']}").json["category_id"] == food["id"]
    assert ada.call("GET", f"/v1/transactions/{deleted['id']}").status_code == 404
    events = [(event["type"], event["subject"], event["sequence"]) for event in events_of(settings)[before:]]
    assert events == [
        *(("transaction.created", one, "1") for one in done.json["created"]),
        ("transaction.updated", moved["id"], "2"),
        ("transaction.deleted", deleted["id"], "2"),
    ]


def test_each_act_that_cannot_be_done_is_named_and_none_is_done(
    ada: Book, eve: Book, settings: AllSettings, database: Database
) -> None:
    food, salary = ada.category(), ada.category(kind="income")
    mine, other, foreign = ada.transaction(), ada.transaction(), eve.transaction()
    gone, of_eve = ada.transaction(), eve.transaction()
    ada.call("DELETE", f"/v1/transactions/{gone['id']}", If_Match="read")
    rows, events = _rows(database), events_of(settings, *_TYPES)

    refused = ada.call(
        "POST",
        _PATH,
        {
            "create": [
                BREAD,
                BREAD | {"category_id": salary["id"]},
                BREAD | {"category_id": eve.category()["id"]},
                BREAD | {"category_id": food["id"]},
            ],
            "change_category": [
                {"id": mine["id"], "category_id": salary["id"]},
                {"id": foreign["id"], "category_id": food["id"]},
                {"id": other["id"], "category_id": None},
            ],
            "delete": [str(new_id()), gone["id"], of_eve["id"]],
        },
    )

    assert refused.status_code == 422
    assert sorted(error["pointer"] for error in refused.json["errors"]) == [
        "/change_category/0/category_id",
        "/change_category/1/id",
        "/create/1/category_id",
        "/create/2/category_id",
        "/delete/0",
        "/delete/1",
        "/delete/2",
    ]
    assert _rows(database) == rows
    assert events_of(settings, *_TYPES) == events


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"create": [BREAD, BREAD | {"amount": 5}]}, ["/create/1/amount"]),
        (
            {"create": [BREAD | {"amount": "1.5", "currency": "JPY"}, BREAD | {"amount": "0.001"}]},
            ["/create/0/amount", "/create/1/amount"],
        ),
        ({"create": [BREAD | {"id": "x"}]}, ["/create/0/id"]),
        ({"change_category": [{"id": "x", "category_id": None}]}, ["/change_category/0/id"]),
        ({"change_category": [{"id": str(new_id())}]}, ["/change_category/0/category_id"]),
        ({"delete": ["x"]}, ["/delete/0"]),
        ({"update": []}, ["/update"]),
        ({}, [""]),
        ({"delete": [str(new_id()) for _ in range(501)]}, ["/delete"]),
        ({"create": [BREAD] * 250, "delete": [str(new_id()) for _ in range(251)]}, [""]),
    ],
    ids=["number", "decimals", "unknown member", "no id", "no category", "no UUID", "no act", "empty", "501", "251"],
)
def test_a_body_that_does_not_fit_is_refused_by_its_pointers(ada: Book, body: Any, pointers: list[str]) -> None:
    refused = ada.call("POST", _PATH, body)

    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == pointers


def test_a_transaction_that_two_acts_name_is_refused(ada: Book) -> None:
    one = ada.transaction()["id"]

    refused = ada.call(
        "POST", _PATH, {"change_category": [{"id": one, "category_id": None}], "delete": [one, str(new_id()), one]}
    )

    assert [error["pointer"] for error in refused.json["errors"]] == ["/delete/0", "/delete/2"]


def test_500_acts_are_done_in_one_request(ada: Book, settings: AllSettings) -> None:
    done = ada.call("POST", _PATH, {"create": [BREAD] * 500})
    moves = [{"id": one, "category_id": ada.category()["id"]} for one in done.json["created"][:1]]

    assert done.status_code == 200
    assert len(set(done.json["created"])) == 500
    assert len(events_of(settings, "transaction.created")) == 500
    rest = ada.call("POST", _PATH, {"change_category": moves, "delete": done.json["created"][1:]})
    assert rest.status_code == 200
    assert Counter(event["type"] for event in events_of(settings))["transaction.deleted"] == 499


def test_16_clients_with_one_key_do_the_acts_once(ada: Book, settings: AllSettings) -> None:
    together = threading.Barrier(16)

    def act(_: int) -> Any:
        together.wait()
        return ada.call("POST", _PATH, {"create": [BREAD] * 3}, Idempotency_Key="k")

    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(act, range(16)))

    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.text for answer in answers if answer.status_code == 200}) == 1
    assert len(events_of(settings)) == 3


def test_bulk_requests_on_the_same_transactions_in_any_order_wait_for_each_other(ada: Book) -> None:
    ids = ada.call("POST", _PATH, {"create": [BREAD] * 40}).json["created"]
    categories = [ada.category()["id"] for _ in range(2)]
    together = threading.Barrier(4)

    def act(number: int) -> int:
        order = ids if number % 2 else ids[::-1]
        together.wait()
        for turn in range(5):
            moves = [{"id": one, "category_id": categories[(number + turn) % 2]} for one in order]
            assert ada.call("POST", _PATH, {"change_category": moves}).status_code == 200
        return number

    with ThreadPoolExecutor(4) as clients:
        assert list(clients.map(act, range(4))) == [0, 1, 2, 3]
