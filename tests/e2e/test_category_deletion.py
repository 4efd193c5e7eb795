"""A category with thousands of transactions is deleted by workers that are killed: each moves once, with one event."""

from collections import Counter
from functools import partial
from typing import Any

import orjson
import pytest

from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import jobs
from tests.support.api import served
from tests.support.books import book_of
from tests.support.kafka_records import everything_in
from tests.support.processes import Processes
from tests.support.waiting import eventually

#: Parts of 500, of which the request does the first.
_MANY = 10_000
_INSERT = """
insert into transactions (id, user_id, kind, amount, currency, date, category_id)
select unnest(%(ids)s::uuid[]), %(user_id)s, 'expense', 1, 'EUR', '2026-01-01', %(category_id)s
"""


def _left(database: Database, category: Any) -> int:
    """Return how many transactions the category has."""
    with database.transaction() as session:
        row = session.fetch_one("select count(*) as n from transactions where category_id = %(id)s", category)
    assert row is not None
    return int(row["n"])


def _updates(settings: AllSettings, count: int) -> list[Any] | None:
    """Return the updates in Kafka, once there are as many or more."""
    events = [orjson.loads(record.value) for record in everything_in(settings, "transaction.events")]
    return events if len(events) >= count else None


@pytest.mark.timeout(180)
def test_a_deletion_whose_workers_are_killed_moves_each_transaction_once(
    platform: AllSettings, database: Database, processes: Processes
) -> None:
    with served(platform, database) as api:
        ada = book_of(api)
        food, other = ada.category(name="Food"), ada.category(name="Other")
        ids = [new_id() for _ in range(_MANY)]
        with database.transaction() as session:
            session.execute(_INSERT, {"ids": ids, "user_id": ada.user_id, "category_id": food["id"]})
        accepted = ada.call("DELETE", f"/v1/categories/{food['id']}?move_to={other['id']}", If_Match="read")
    assert accepted.status_code == 202
    processes.relay()

    left = [_left(database, food)]
    for point in ("dies_at:session.before_commit:6", "dies_at:session.after_commit:6"):
        processes.worker(sabotage=point, wait_ready=False).wait()
        left.append(_left(database, food))
    processes.worker()
    jobs.until_all(database, [accepted.json["job_id"]], "succeeded")

    assert _MANY > left[0] > left[1] > left[2] > 0, "each worker was killed in between"
    assert (_left(database, food), _left(database, other)) == (0, _MANY)
    events = eventually(partial(_updates, platform, _MANY), what="every transaction has its event")
    assert Counter(event["subject"] for event in {event["id"]: event for event in events}.values()) == Counter(
        map(str, ids)
    )
    assert {(event["data"]["after"]["category_id"], event["sequence"]) for event in events} == {(other["id"], "2")}
