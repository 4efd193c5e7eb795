"""`delete_category`: what a request leaves of a large category is moved part by part, and nothing twice."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from moneyflow.jobs.delete_category import DeleteCategory
from moneyflow.money import category_deletion
from moneyflow.money.category_deletion import ROWS_OF_A_PART
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.settings import AllSettings
from tests.support.api import served
from tests.support.books import BREAD, Book, book_of, events_of
from tests.support.servers import RealServers
from workers.testing import run_jobs


@pytest.fixture
def ada(servers: RealServers, settings: AllSettings, database: Database) -> Iterator[Book]:
    assert servers.redis.identity(), "it runs"
    with served(settings, database) as api:
        yield book_of(api)


def _fill(book: Book, category: Any, count: int) -> list[str]:
    """Add many transactions to a category, and return their ids."""
    ids: list[str] = []
    while len(ids) < count:
        create = [BREAD | {"category_id": category["id"]}] * min(count - len(ids), 500)
        ids += book.call("POST", "/v1/transactions/bulk", {"create": create}).json["created"]
    return ids


def _categories(database: Database) -> Any:
    """Return how many transactions have which category."""
    with database.transaction() as session:
        rows = session.fetch_all("select category_id, count(*) as n from transactions group by category_id")
    return {row["category_id"] and str(row["category_id"]): row["n"] for row in rows}


def test_a_job_moves_what_a_request_leaves_and_deletes_the_category_at_its_end(
    ada: Book, settings: AllSettings, database: Database
) -> None:
    food, other = ada.category(name="Food"), ada.category(name="Other")
    many = 2 * ROWS_OF_A_PART + 300
    ids = _fill(ada, food, many)
    path = f"/v1/categories/{food['id']}?move_to={other['id']}"

    accepted = ada.call("DELETE", path, If_Match="read")
    between = _categories(database)
    again = ada.call("DELETE", path, If_Match="read")

    assert (accepted.status_code, again.status_code) == (202, 202)
    assert accepted.headers["Location"] == again.headers["Location"] == f"/v1/jobs/{accepted.json['job_id']}"
    assert between == {other["id"]: ROWS_OF_A_PART, food["id"]: many - ROWS_OF_A_PART}
    assert ada.call("GET", f"/v1/categories/{food['id']}").status_code == 200, "until its last transaction has moved"

    with database.transaction() as session:
        (ran,) = run_jobs(session, kinds=["delete_category"])

    assert ran.outcome == "succeeded", ran.error
    assert _categories(database) == {other["id"]: many}
    assert ada.call("GET", f"/v1/categories/{food['id']}").status_code == 404
    updates = events_of(settings, "transaction.updated")
    assert sorted(event["subject"] for event in updates) == sorted(ids), "one event for each, and none twice"
    assert len(events_of(settings, "category.deleted")) == 1
    assert ada.call("GET", accepted.headers["Location"]).json["state"] == "succeeded"


def test_each_part_commits_and_what_is_left_is_continued(ada: Book, settings: AllSettings, database: Database) -> None:
    food = ada.category(name="Food")
    for number in range(7):
        ada.category(name=f"sub {number}", parent_id=food["id"])
    ids = _fill(ada, food, 10)
    parts = iter([True, True, False])

    job = DeleteCategory(user_id=ada.user_id, category_id=UUID(food["id"]), move_to=None)
    with database.transaction() as session:
        reported: list[int] = []
        is_deleted = category_deletion.finish(
            session, job, report=reported.append, is_time_left=lambda: next(parts), limit=3
        )

    assert not is_deleted
    assert reported == [3, 6]
    assert _categories(database) == {None: 6, food["id"]: 4}
    with database.transaction() as session:
        enqueue(session, job)
        (ran,) = run_jobs(session, kinds=["delete_category"])
    assert ran.outcome == "succeeded", ran.error
    assert _categories(database) == {None: 10}
    events = events_of(settings)
    assert sorted(event["subject"] for event in events if event["type"] == "transaction.updated") == sorted(ids)
    assert len([event for event in events if event["type"] == "category.deleted"]) == 8
    with database.transaction() as session:
        assert category_deletion.finish(session, job, report=reported.append, is_time_left=lambda: True), (
            "it is deleted already"
        )


def test_a_category_stays_when_the_one_to_move_to_was_deleted_meanwhile(ada: Book, database: Database) -> None:
    food, other = ada.category(name="Food"), ada.category(name="Other")
    _fill(ada, food, ROWS_OF_A_PART + 1)
    accepted = ada.call("DELETE", f"/v1/categories/{food['id']}?move_to={other['id']}", If_Match="read")
    other_deleted = ada.call("DELETE", f"/v1/categories/{other['id']}", If_Match="read")

    with database.transaction() as session:
        ran = {one.job_id: one.outcome for one in run_jobs(session, kinds=["delete_category"])}

    assert other_deleted.status_code == 204
    assert ran == {UUID(accepted.json["job_id"]): "cancelled"}
    assert ada.call("GET", accepted.headers["Location"]).json["state"] == "cancelled"
    assert ada.call("GET", f"/v1/categories/{food['id']}").status_code == 200
    assert _categories(database) == {None: ROWS_OF_A_PART, food["id"]: 1}
