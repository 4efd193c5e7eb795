"""Deleted transactions: purged a month after their deletion, and not before; and with the account of their owner."""

from typing import Any

from moneyflow import retention
from moneyflow.money.retention import DELETED_KEPT
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings
from tests.support import people

_INSERT = """
insert into transactions (id, user_id, kind, amount, currency, date, deleted_at)
values (%(id)s, %(user_id)s, 'expense', 1, 'EUR', '2026-01-01', clock_timestamp() - %(deleted_for)s::interval)
"""


def _left(database: Database) -> Any:
    with database.transaction() as session:
        return {row["id"] for row in session.fetch_all("select id from transactions")}


def test_a_transaction_is_purged_a_month_after_its_deletion(settings: AllSettings, database: Database) -> None:
    owner = people.sign_up(database, name="Ada").user_id
    ages = {new_id(): age for age in (None, DELETED_KEPT * 0.99, *[DELETED_KEPT * 1.01] * 5)}
    with database.transaction() as session:
        for id_, age in ages.items():
            session.execute(_INSERT, {"id": id_, "user_id": owner, "deleted_for": age})

    with database.transaction() as session:
        result = retention.purge(session, settings, seconds=30, limit=2)

    assert (result["transactions"], result["done"]) == (5, True)
    assert _left(database) == {id_ for id_, age in ages.items() if age is None or age < DELETED_KEPT}
