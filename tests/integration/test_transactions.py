"""Transactions as jobs add them, in a transaction of their own; and sums of amounts, which the database computes."""

import random
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest

from moneyflow.money import bulk, categories, transactions
from moneyflow.money.bulk import Acts
from moneyflow.money.currencies import DECIMALS
from moneyflow.money.transactions import Transaction
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InProgressError
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.http.idempotency import WITHOUT_KEY, IdempotencyKeys
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.settings import AllSettings
from tests.support import people
from tests.support.books import events_of


def _paid(user_id: UUID, *, category_id: UUID | None, amount: str = "7.5", currency: str = "EUR") -> Transaction:
    return transactions.make(
        user_id,
        kind="expense",
        amount=amount,
        currency=currency,
        date=date(2026, 3, 1),
        category_id=category_id,
        payment_id=new_id(),
    )


@pytest.fixture
def app(settings: AllSettings, database: Database) -> Iterator[Database]:
    """Return the database as the API reaches it."""
    assert database.check() is None
    app = Database(settings.conninfo("app", application_name="test"), size=2)
    app.open()
    yield app
    app.close()


def _category(app: Database, user_id: UUID) -> UUID:
    made = categories.make(user_id, kind="expense", name="Food")
    with app.autocommit() as session:
        categories.create(session, made, once=WITHOUT_KEY, answer=Answer())
    return made.id


def test_a_transaction_of_a_job_commits_with_it_or_not_at_all(
    settings: AllSettings, app: Database, database: Database
) -> None:
    owner = people.sign_up(database, name="Ada").user_id
    category_id = _category(app, owner)

    with database.transaction() as session:
        rolled_back = transactions.add(session, _paid(owner, category_id=category_id))
        session.release()
    with database.transaction() as session:
        added = transactions.add(session, _paid(owner, category_id=category_id))

    with database.transaction() as session:
        found = transactions.find(OwnerScope(session, owner), added.id)
        ids = [row["id"] for row in session.fetch_all("select id from transactions")]
    assert found == added
    assert (found.category_id, found.amount) == (category_id, Decimal("7.50"))
    assert ids == [added.id] != [rolled_back.id]
    (event,) = events_of(settings, "transaction.created")
    assert event["subject"] == str(added.id)


def test_a_category_that_was_deleted_meanwhile_is_left_out_of_what_was_paid(
    settings: AllSettings, database: Database
) -> None:
    owner = people.sign_up(database, name="Ada").user_id

    with database.transaction() as session:
        added = transactions.add(session, _paid(owner, category_id=new_id()))

    assert added.category_id is None
    (event,) = events_of(settings, "transaction.created")
    assert event["data"]["category_id"] is None


def test_a_request_whose_key_is_in_use_adds_nothing_and_one_that_repeats_it_gets_its_answer(
    settings: AllSettings, app: Database, database: Database
) -> None:
    owner = people.sign_up(database, name="Ada").user_id
    once = IdempotencyKeys(secret_key="k" * 40).request(key="k", scope="POST /v1/transactions", content=b"{}")
    first, second = Answer(status=201, body=b"first"), Answer(status=201, body=b"second")

    def create(answer: Answer) -> Answer:
        with app.autocommit() as session:
            return transactions.create(session, _paid(owner, category_id=None), once=once, answer=answer)

    with app.transaction() as holder:
        assert once.first_answer(holder) is None
        with pytest.raises(InProgressError):
            create(first)
        holder.release()
    answers = [create(first), create(second)]

    assert answers == [first, first]
    assert len(events_of(settings, "transaction.created")) == 1


def test_sums_in_the_database_are_exact(database: Database) -> None:
    """In a float the sum of so many tenths, or of a cent and a trillion, is another one."""
    owner, draw = people.sign_up(database, name="Ada").user_id, random.Random(20260301)
    currencies = ["EUR", "JPY", "KWD", "CLF"]
    made = [
        _paid(owner, category_id=None, amount=str(Decimal(units).scaleb(-DECIMALS[currency])), currency=currency)
        for currency in currencies
        for units in [1, 10**15 * 10 ** DECIMALS[currency] - 1, *(draw.randrange(1, 10**12) for _ in range(100))]
    ]

    with database.transaction() as session:
        bulk.act(OwnerScope(session, owner), Acts(create=made))
        stored = {one.id: transactions.find(OwnerScope(session, owner), one.id) for one in made[:3]}
        rows = session.fetch_all("select currency, sum(amount) as total from transactions group by currency")

    assert stored == {one.id: one for one in made[:3]}
    expected = {
        currency: sum((one.amount for one in made if one.currency == currency), Decimal(0)) for currency in currencies
    }
    assert {row["currency"]: row["total"] for row in rows} == expected
