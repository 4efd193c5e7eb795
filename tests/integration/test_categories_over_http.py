"""Categories over HTTP: two levels of one kind whatever races, and a deletion that loses no transaction."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support.books import BREAD, GROCERIES, NO_ID, Book, events_of, pointers_of


def test_a_category_is_added_read_and_changed_with_events_without_its_name(ada: Book, settings: AllSettings) -> None:
    food = ada.category(name="Food")
    added = ada.call("POST", "/v1/categories", GROCERIES)
    path = added.headers["Location"]

    changed = ada.call(
        "PATCH", path, {"name": "Bakery", "parent_id": food["id"], "color": None}, If_Match=added.headers["ETag"]
    )

    assert added.status_code == 201
    assert added.json == GROCERIES | {
        name: added.json[name] for name in ("id", "parent_id", "created_at", "updated_at")
    }
    read = ada.call("GET", path)
    assert read.json == changed.json
    assert read.headers["ETag"] == changed.headers["ETag"] != added.headers["ETag"]
    assert ada.call("GET", path, If_None_Match=read.headers["ETag"]).status_code == 304
    _, created, updated = events_of(settings)
    ids = {"user_id": str(ada.user_id), "category_id": added.json["id"]}
    before = {"kind": "expense", "parent_id": None, "color": "#2a9d8f"}
    after = {"kind": "expense", "parent_id": food["id"], "color": None}
    assert created["data"] == ids | before
    assert updated["data"] == ids | {"before": before, "after": after, "changed": ["name", "parent_id", "color"]}
    assert (created["type"], updated["type"]) == ("category.created", "category.updated")
    assert (created["sequence"], updated["sequence"]) == ("1", "2")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": "x" * 101}, "/name"),
        ({"name": None}, "/name"),
        ({"color": "red"}, "/color"),
        ({"color": "#2A9D8"}, "/color"),
        ({"parent_id": "food"}, "/parent_id"),
        ({"parent_id": NO_ID}, "/parent_id"),
        ({"version": 7}, "/version"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_by_its_pointer(ada: Book, change: dict[str, Any], pointer: str) -> None:
    path = f"/v1/categories/{ada.category()['id']}"
    before = ada.call("GET", path).json

    assert pointers_of(ada.call("POST", "/v1/categories", GROCERIES | change)) == [pointer]
    assert pointers_of(ada.call("PATCH", path, change, If_Match="read")) == [pointer]

    assert ada.call("GET", path).json == before


def test_the_kind_of_a_category_stays(ada: Book) -> None:
    path = f"/v1/categories/{ada.category()['id']}"

    assert pointers_of(ada.call("POST", "/v1/categories", {"kind": "transfer", "name": "x"})) == ["/kind"]
    assert pointers_of(ada.call("PATCH", path, {"kind": "income"}, If_Match="read")) == ["/kind"]


def test_a_subcategory_has_a_parent_at_the_top_of_the_same_owner_and_kind(ada: Book, eve: Book) -> None:
    food, salary, foreign = ada.category(name="Food"), ada.category(kind="income"), eve.category()
    bakery = ada.category(name="Bakery", parent_id=food["id"])
    cakes = ada.category(name="Cakes")
    path = f"/v1/categories/{cakes['id']}"

    for parent in (salary, foreign, bakery):
        assert pointers_of(ada.call("POST", "/v1/categories", GROCERIES | {"parent_id": parent["id"]})) == [
            "/parent_id"
        ]
    for parent in (salary, foreign, bakery, cakes):
        assert pointers_of(ada.call("PATCH", path, {"parent_id": parent["id"]}, If_Match="read")) == ["/parent_id"]
    with_children = ada.call("PATCH", f"/v1/categories/{food['id']}", {"parent_id": cakes["id"]}, If_Match="read")

    assert pointers_of(with_children) == ["/parent_id"], "it has a subcategory itself"
    assert ada.call("PATCH", path, {"parent_id": food["id"]}, If_Match="read").json["parent_id"] == food["id"]
    assert ada.call("PATCH", path, {"parent_id": None}, If_Match="read").json["parent_id"] is None


def test_a_change_names_the_state_that_it_changes(ada: Book, settings: AllSettings) -> None:
    path = f"/v1/categories/{ada.category()['id']}"
    stale = ada.call("GET", path).headers["ETag"]
    assert ada.call("PATCH", path, {"name": "Food"}, If_Match=stale).status_code == 200

    answers = [
        ada.call("PATCH", path, {"name": "Drinks"}),
        ada.call("PATCH", path, {"name": "Drinks"}, If_Match=stale),
        ada.call("DELETE", path),
        ada.call("DELETE", path, If_Match=stale),
    ]

    assert [answer.status_code for answer in answers] == [428, 412, 428, 412]
    assert ada.call("PATCH", path, {"name": "Food"}, If_Match="read").status_code == 200
    assert len(events_of(settings)) == 2


def test_a_foreign_category_is_like_a_missing_one(ada: Book, eve: Book) -> None:
    path = f"/v1/categories/{ada.category()['id']}"

    for method in ("GET", "PATCH", "DELETE"):
        assert eve.call(method, path, {"name": "mine"} if method == "PATCH" else None, If_Match="*").status_code == 404

    assert ada.call("GET", path).json["name"] == GROCERIES["name"]


def test_64_clients_with_one_key_add_one_category(ada: Book, settings: AllSettings) -> None:
    together = threading.Barrier(64)

    def add(_: int) -> Any:
        together.wait()
        return ada.call("POST", "/v1/categories", GROCERIES, Idempotency_Key="k")

    with ThreadPoolExecutor(64) as clients:
        answers = list(clients.map(add, range(64)))

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(events_of(settings)) == 1


def _levels(settings: AllSettings) -> set[tuple[Any, Any]]:
    """Return the levels of each category and of its parent's parent."""
    with psycopg.connect(settings.conninfo("owner", application_name="test")) as connection:
        return set(
            connection.execute(
                "select child.id, parent.parent_id from categories child join categories parent "
                "on parent.id = child.parent_id where parent.parent_id is not null"
            ).fetchall()
        )


def test_parallel_moves_make_no_cycle_and_no_third_level(ada: Book, settings: AllSettings) -> None:
    """Three categories are moved under one another by requests at once, in all directions."""
    ids = [ada.category(name=name)["id"] for name in ("a", "b", "c")]
    moves = [(moved, under) for moved in ids for under in ids if moved != under]
    together = threading.Barrier(len(moves))

    def move(pair: tuple[str, str]) -> int:
        together.wait()
        path, body = f"/v1/categories/{pair[0]}", {"parent_id": pair[1]}
        return ada.call("PATCH", path, body, If_Match="*").status_code

    with ThreadPoolExecutor(len(moves)) as clients:
        for _ in range(15):
            statuses = Counter(clients.map(move, moves))
            assert statuses.keys() <= {200, 422}
            assert statuses[200] >= 1
            assert _levels(settings) == set()
            for moved in ids:
                ada.call("PATCH", f"/v1/categories/{moved}", {"parent_id": None}, If_Match="*")


def test_raw_statements_make_no_cycle_and_no_third_level_either(ada: Book, settings: AllSettings) -> None:
    """The constraints alone hold: these statements lock nothing before."""
    ids = [ada.category(name=name)["id"] for name in ("a", "b", "c")]
    moves = [(moved, under) for moved in ids for under in ids if moved != under]
    together = threading.Barrier(len(moves))

    def move(pair: tuple[str, str]) -> bool:
        conninfo = settings.conninfo("app", application_name="test")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            together.wait()
            try:
                connection.execute("update categories set parent_id = %s where id = %s", (pair[1], pair[0]))
            except (psycopg.errors.ForeignKeyViolation, psycopg.errors.DeadlockDetected):
                return False
        return True

    with ThreadPoolExecutor(len(moves)) as clients:
        for _ in range(10):
            assert any(list(clients.map(move, moves))), "all have ended, so none locks a row that is reset now"
            assert _levels(settings) == set()
            with psycopg.connect(settings.conninfo("app", application_name="test")) as connection:
                connection.execute("update categories set parent_id = null")


@pytest.mark.parametrize("moves", [True, False], ids=["to another category", "to none"])
def test_a_deleted_category_leaves_its_transactions_where_the_user_chose(
    ada: Book, settings: AllSettings, *, moves: bool
) -> None:
    food, other = ada.category(name="Food"), ada.category(name="Other")
    bakery = ada.category(name="Bakery", parent_id=food["id"])
    left = [ada.transaction(category_id=one["id"]) for one in (food, bakery, bakery)]
    gone = ada.transaction(category_id=food["id"])
    ada.call("DELETE", f"/v1/transactions/{gone['id']}", If_Match="read")
    stays = ada.transaction(category_id=other["id"])
    before = len(events_of(settings))
    query = f"?move_to={other['id']}" if moves else ""

    deleted = ada.call("DELETE", f"/v1/categories/{food['id']}{query}", If_Match="read")

    target = other["id"] if moves else None
    assert (deleted.status_code, deleted.text) == (204, "")
    for one in left:
        assert ada.call("GET", f"/v1/transactions/{one['id']}").json["category_id"] == target
    assert ada.call("GET", f"/v1/transactions/{stays['id']}").json == stays
    assert [ada.call("GET", f"/v1/categories/{one['id']}").status_code for one in (food, bakery)] == [404, 404]
    events = events_of(settings)[before:]
    updates, deletions = events[:3], events[3:]
    assert {event["subject"] for event in updates} == {one["id"] for one in left}
    assert {event["type"] for event in updates} == {"transaction.updated"}
    assert all(event["data"]["changed"] == ["category_id"] and event["sequence"] == "2" for event in updates)
    assert {event["data"]["after"]["category_id"] for event in updates} == {target}
    assert {event["data"]["before"]["category_id"] for event in updates} == {food["id"], bakery["id"]}
    assert {event["subject"] for event in deletions} == {food["id"], bakery["id"]}
    assert {event["type"] for event in deletions} == {"category.deleted"}


def test_transactions_move_only_to_a_category_of_the_kind_that_stays(ada: Book, eve: Book) -> None:
    food = ada.category(name="Food")
    bakery = ada.category(name="Bakery", parent_id=food["id"])
    one = ada.transaction(category_id=food["id"])
    targets = [food, bakery, ada.category(kind="income"), eve.category(), {"id": str(new_id())}, {"id": "food"}]

    for target in targets:
        refused = ada.call("DELETE", f"/v1/categories/{food['id']}?move_to={target['id']}", If_Match="read")
        assert pointers_of(refused) == ["/move_to"]

    assert ada.call("GET", f"/v1/transactions/{one['id']}").json["category_id"] == food["id"]


def _call_together(book: Book, together: threading.Barrier, request: tuple[str, str, Any]) -> Any:
    method, path, body = request
    together.wait()
    return book.call(method, path, body, If_Match="*")


def test_a_transaction_that_is_added_while_its_category_is_deleted_is_refused_or_moved(ada: Book) -> None:
    """In no order is it lost, and in none does it name a category that there is not."""
    for _ in range(15):
        category = ada.category()
        together = threading.Barrier(5)
        body = BREAD | {"category_id": category["id"]}
        requests = [("DELETE", f"/v1/categories/{category['id']}", None)] + [("POST", "/v1/transactions", body)] * 4

        with ThreadPoolExecutor(5) as clients:
            deletion, *added = clients.map(partial(_call_together, ada, together), requests)

        assert deletion.status_code == 204
        for answer in added:
            if answer.status_code == 201:
                read = ada.call("GET", f"/v1/transactions/{answer.json['id']}")
                assert read.json["category_id"] is None
            else:
                assert pointers_of(answer) == ["/category_id"]


def test_an_account_is_deleted_with_its_categories_and_transactions(ada: Book, eve: Book, database: Database) -> None:
    for book in (ada, eve):
        food = book.category(name="Food")
        book.transaction(category_id=book.category(name="Bakery", parent_id=food["id"])["id"])

    assert ada.call("DELETE", "/v1/users/me").status_code == 204

    with database.transaction() as session:
        owners = session.fetch_all("select distinct user_id from categories union select user_id from transactions")
    assert owners == [{"user_id": eve.user_id}]
