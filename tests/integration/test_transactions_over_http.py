"""Transactions over HTTP: exact amounts, one effect per key, no lost update, and an event with every change."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings
from tests.support.books import BREAD, NO_ID, Book, events_of, pointers_of


def test_a_transaction_is_added_and_read_as_it_was_sent(ada: Book) -> None:
    category = ada.category()

    added = ada.call("POST", "/v1/transactions", BREAD | {"category_id": category["id"]})
    read = ada.call("GET", added.headers["Location"])

    assert added.status_code == 201
    assert added.json == read.json
    assert {name: read.json[name] for name in BREAD} == BREAD
    assert read.json["category_id"] == category["id"]
    assert read.json["payment_id"] is read.json["import_id"] is None
    assert added.headers["ETag"] == read.headers["ETag"]
    assert ada.call("GET", added.headers["Location"], If_None_Match=read.headers["ETag"]).status_code == 304


def test_every_change_has_an_event_without_free_text(ada: Book, settings: AllSettings) -> None:
    category = ada.category()
    path = f"/v1/transactions/{ada.transaction()['id']}"

    ada.call("PATCH", path, {"category_id": category["id"], "amount": "7", "note": "one loaf"}, If_Match="read")
    ada.call("PATCH", path, {"tags": ["bakery"]}, If_Match="read")
    assert ada.call("DELETE", path, If_Match="read").status_code == 204

    created, first, second, deleted = events_of(
        settings, "transaction.created", "transaction.updated", "transaction.deleted"
    )
    state = {"kind": "expense", "amount": "12.30", "currency": "EUR", "date": "2026-02-28", "category_id": None}
    ids = {"user_id": str(ada.user_id), "transaction_id": path.rpartition("/")[2]}
    after = state | {"amount": "7.00", "category_id": category["id"]}
    assert created["data"] == ids | state
    assert first["data"] == ids | {"before": state, "after": after, "changed": ["amount", "category_id", "note"]}
    assert second["data"] == ids | {"before": after, "after": after, "changed": ["tags"]}
    assert deleted["data"] == ids | after
    assert [event["sequence"] for event in (created, first, second, deleted)] == ["1", "2", "3", "4"]
    assert {event["actorid"] for event in (created, first, second, deleted)} == {str(ada.user_id)}


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"amount": 12.3}, ["/amount"]),
        ({"amount": 12}, ["/amount"]),
        ({"amount": "1e3"}, ["/amount"]),
        ({"amount": "NaN"}, ["/amount"]),
        ({"amount": "+5"}, ["/amount"]),
        ({"amount": " 5"}, ["/amount"]),
        ({"amount": "-5"}, ["/amount"]),
        ({"amount": "0.00"}, ["/amount"]),
        ({"amount": "1.234"}, ["/amount"]),
        ({"amount": "1.5", "currency": "JPY"}, ["/amount"]),
        ({"amount": "1000000000000000"}, ["/amount"]),
        ({"amount": None}, ["/amount"]),
        ({"currency": "eur"}, ["/currency"]),
        ({"currency": "XXX"}, ["/currency"]),
        ({"currency": "BTC"}, ["/currency"]),
        ({"kind": "transfer"}, ["/kind"]),
        ({"date": "2026-02-30"}, ["/date"]),
        ({"date": "28.02.2026"}, ["/date"]),
        ({"date": "2026-02-28T00:00:00Z"}, ["/date"]),
        ({"date": "0001-01-01"}, ["/date"]),
        ({"date": 1772236800}, ["/date"]),
        ({"category_id": "groceries"}, ["/category_id"]),
        ({"category_id": NO_ID}, ["/category_id"]),
        ({"note": "\u0007"}, ["/note"]),
        ({"note": "x" * 1001}, ["/note"]),
        ({"tags": "bakery"}, ["/tags"]),
        ({"tags": ["bakery", "bakery"]}, ["/tags"]),
        ({"tags": ["bakery", " "]}, ["/tags/1"]),
        ({"tags": [str(number) for number in range(21)]}, ["/tags"]),
        ({"payment_id": NO_ID}, ["/payment_id"]),
        ({"kind": 1, "amount": "", "currency": "", "date": ""}, ["/kind", "/amount", "/currency", "/date"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_by_its_pointer_and_writes_nothing(
    ada: Book, settings: AllSettings, change: dict[str, Any], pointers: list[str]
) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"
    before = ada.call("GET", path).json

    created = ada.call("POST", "/v1/transactions", BREAD | change)
    changed = ada.call("PATCH", path, change, If_Match="read")

    assert pointers_of(created) == pointers
    assert pointers_of(changed) == pointers
    assert ada.call("GET", path).json == before
    assert len(events_of(settings)) == 1


@pytest.mark.parametrize(
    ("currency", "sent", "shown"), [("EUR", "5", "5.00"), ("JPY", "5", "5"), ("KWD", "5.1", "5.100")]
)
def test_an_amount_is_answered_with_the_decimals_of_its_currency(
    ada: Book, currency: str, sent: str, shown: str
) -> None:
    added = ada.transaction(currency=currency, amount=sent)

    assert added["amount"] == shown
    assert ada.call("GET", f"/v1/transactions/{added['id']}").json["amount"] == shown


def test_another_currency_needs_an_amount_that_it_has(ada: Book) -> None:
    path = f"/v1/transactions/{ada.transaction(amount='12.34')['id']}"

    assert pointers_of(ada.call("PATCH", path, {"currency": "JPY"}, If_Match="read")) == ["/amount"]
    yen = ada.call("PATCH", path, {"currency": "JPY", "amount": "1234"}, If_Match="read")
    dinars = ada.call("PATCH", path, {"currency": "KWD"}, If_Match="read")

    assert (yen.json["amount"], dinars.json["amount"]) == ("1234", "1234.000")


def test_the_category_is_the_users_own_and_of_the_kind(ada: Book, eve: Book) -> None:
    salary, foreign = ada.category(kind="income"), eve.category()
    path = f"/v1/transactions/{ada.transaction()['id']}"

    for category in (salary, foreign):
        assert pointers_of(ada.call("POST", "/v1/transactions", BREAD | {"category_id": category["id"]})) == [
            "/category_id"
        ]
        assert pointers_of(ada.call("PATCH", path, {"category_id": category["id"]}, If_Match="read")) == [
            "/category_id"
        ]
    income = ada.call("PATCH", path, {"kind": "income", "category_id": salary["id"]}, If_Match="read")
    assert income.json["category_id"] == salary["id"]
    assert pointers_of(ada.call("PATCH", path, {"kind": "expense"}, If_Match="read")) == ["/category_id"]
    both = ada.call("PATCH", path, {"kind": "expense", "category_id": None}, If_Match="read")
    assert (both.json["kind"], both.json["category_id"]) == ("expense", None)


def test_a_change_names_the_state_that_it_changes(ada: Book, settings: AllSettings) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"
    stale = ada.call("GET", path).headers["ETag"]
    assert ada.call("PATCH", path, {"note": "one loaf"}, If_Match=stale).status_code == 200

    answers = [
        ada.call("PATCH", path, {"note": "no loaf"}),
        ada.call("PATCH", path, {"note": "no loaf"}, If_Match=stale),
        ada.call("DELETE", path),
        ada.call("DELETE", path, If_Match=stale),
    ]

    assert [answer.status_code for answer in answers] == [428, 412, 428, 412]
    assert ada.call("GET", path).json["note"] == "one loaf"
    assert ada.call("PATCH", path, {"note": "no loaf"}, If_Match="*").json["note"] == "no loaf"
    assert len(events_of(settings)) == 3


def test_a_change_to_what_is_there_already_is_no_change(ada: Book, settings: AllSettings) -> None:
    added = ada.transaction()
    path = f"/v1/transactions/{added['id']}"
    etag = ada.call("GET", path).headers["ETag"]

    for same in ({}, BREAD, {"amount": "12.3"}):
        unchanged = ada.call("PATCH", path, same, If_Match=etag)
        assert (unchanged.status_code, unchanged.json) == (200, added)

    assert len(events_of(settings)) == 1


def test_a_deleted_transaction_is_there_no_more(ada: Book) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"

    assert ada.call("DELETE", path, If_Match="read").status_code == 204

    for method in ("GET", "PATCH", "DELETE"):
        assert ada.call(method, path, {} if method == "PATCH" else None, If_Match="*").status_code == 404


def test_a_foreign_transaction_is_like_a_missing_one(ada: Book, eve: Book) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"

    for method in ("GET", "PATCH", "DELETE"):
        assert eve.call(method, path, {"note": "mine"} if method == "PATCH" else None, If_Match="*").status_code == 404

    assert ada.call("GET", path).json["note"] == BREAD["note"]


def test_what_a_payment_has_fixed_stays(ada: Book, database: Database) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"
    with database.transaction() as session:
        session.execute("update transactions set payment_id = gen_random_uuid()")

    fixed = ada.call(
        "PATCH", path, {"kind": "income", "amount": "1", "currency": "USD", "note": "mine"}, If_Match="read"
    )
    free = ada.call("PATCH", path, {"note": "mine", "date": "2026-03-01", "tags": []}, If_Match="read")
    same = ada.call("PATCH", path, {"amount": "12.3", "currency": "EUR"}, If_Match="read")

    assert pointers_of(fixed) == ["/kind", "/amount", "/currency"]
    assert (free.status_code, free.json["note"], free.json["amount"]) == (200, "mine", "12.30")
    assert same.status_code == 200
    assert ada.call("DELETE", path, If_Match="read").status_code == 409
    assert pointers_of(ada.call("POST", "/v1/transactions/bulk", {"delete": [free.json["id"]]})) == ["/delete/0"]


def test_a_user_whose_account_is_deleted_adds_nothing(ada: Book, database: Database) -> None:
    with database.transaction() as session:
        session.execute("delete from users where id = %(id)s", {"id": ada.user_id})

    answers = [
        ada.call("POST", "/v1/transactions", BREAD),
        ada.call("POST", "/v1/categories", {"kind": "income", "name": "Salary"}),
        ada.call("POST", "/v1/transactions/bulk", {"create": [BREAD]}),
    ]

    assert [(answer.status_code, answer.json["detail"]) for answer in answers] == [
        (404, "the account does not exist any more")
    ] * 3


def test_a_repeated_request_is_done_once_and_another_body_under_its_key_is_refused(
    ada: Book, eve: Book, settings: AllSettings
) -> None:
    first = ada.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k")

    again = ada.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k")
    other = ada.call("POST", "/v1/transactions", BREAD | {"amount": "1"}, Idempotency_Key="k")
    of_eve = eve.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k")

    assert (again.status_code, again.json, again.headers["Location"]) == (201, first.json, first.headers["Location"])
    assert other.status_code == 422
    assert of_eve.json["id"] != first.json["id"]
    assert len(events_of(settings)) == 2


def test_a_refused_request_leaves_its_key_free(ada: Book) -> None:
    refused = ada.call("POST", "/v1/transactions", BREAD | {"category_id": NO_ID}, Idempotency_Key="k")
    corrected = ada.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k")

    assert (refused.status_code, corrected.status_code) == (422, 201)


def test_64_clients_with_one_key_add_one_transaction(ada: Book, settings: AllSettings, database: Database) -> None:
    together = threading.Barrier(64)

    def add(_: int) -> Any:
        together.wait()
        return ada.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k")

    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(add, range(64)))

    statuses = Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status_code == 201}) == 1
    assert ada.call("POST", "/v1/transactions", BREAD, Idempotency_Key="k").status_code == 201
    assert len(events_of(settings)) == 1
    with database.transaction() as session:
        assert session.fetch_all("select count(*) as n from transactions") == [{"n": 1}]


def test_of_parallel_changes_of_one_state_one_wins_and_the_others_are_refused(ada: Book, settings: AllSettings) -> None:
    path = f"/v1/transactions/{ada.transaction()['id']}"
    rounds, clients = 10, 8
    together = threading.Barrier(clients)

    def change(note: str) -> tuple[str, int]:
        together.wait()
        return note, ada.call("PATCH", path, {"note": note}, If_Match=etag).status_code

    with ThreadPoolExecutor(clients) as pool:
        for number in range(rounds):
            etag = ada.call("GET", path).headers["ETag"]
            answers = list(pool.map(change, [f"round {number}, by {client}" for client in range(clients)]))
            assert Counter(status for _, status in answers) == {200: 1, 412: clients - 1}
            assert (ada.call("GET", path).json["note"], 200) in answers

    updates = events_of(settings, "transaction.updated")
    assert [event["sequence"] for event in updates] == [str(number + 2) for number in range(rounds)]
