"""What tests ask about payments: request some, run their jobs, compare the provider's ledger with ours."""

from collections import Counter
from decimal import Decimal
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.gateways.payments import Charged
from moneyflow.gateways.payments.sandbox import Sandbox
from moneyflow.payments import charging, payments, states
from moneyflow.payments.payments import PaymentOrder, Requested
from moneyflow.platform.database import Database
from moneyflow.platform.owner import OwnerScope


def request(
    database: Database,
    user_id: UUID,
    source: str = "tok_ok",
    *,
    amount: str = "12.34",
    currency: str = "EUR",
    description: str = "Two tickets",
    category_id: UUID | None = None,
) -> Requested:
    """Request a payment in a transaction of its own."""
    order = PaymentOrder(
        amount=amount, currency=currency, description=description, category_id=category_id, source=source
    )
    with database.transaction() as session:
        return payments.request(OwnerScope(session, user_id), order)


def succeeded(database: Database, user_id: UUID) -> UUID:
    """Request a payment, and record that it was charged."""
    payment_id = request(database, user_id).id
    with database.transaction() as session:
        locked = states.lock(session, payment_id)
        assert locked is not None
        states.decide(session, locked, Charged(f"ch_{payment_id.hex}"))
    return payment_id


def row(database: Database, payment_id: UUID) -> DictRow:
    """Return a payment's row."""
    with database.transaction() as session:
        found = session.fetch_one("select * from payments where id = %(id)s", {"id": payment_id})
    assert found is not None
    return found


def transactions(database: Database, user_id: UUID | None = None) -> list[DictRow]:
    """Return the transactions of a user, or of all users, in the order in which they were added."""
    with database.transaction() as session:
        return session.fetch_all(
            "select * from transactions where user_id = coalesce(%(user_id)s, user_id) order by id",
            {"user_id": user_id},
        )


def charged_by_us(database: Database) -> dict[UUID, tuple[str, Decimal, str]]:
    """Return the payments that are in the books as an expense: charge, amount and currency of each."""
    return _by_payment(
        database,
        """
        select payment.id, charge_id, entry.amount, entry.currency
        from payments payment join transactions entry on entry.payment_id = payment.id and entry.kind = 'expense'
        where state in ('succeeded', 'refunded')
        """,
    )


def charged_by_sandbox(database: Database) -> dict[UUID, tuple[str, Decimal, str]]:
    """Return the charges in the sandbox's ledger by their payments; more than one of a payment is an error."""
    return _by_payment(
        database,
        "select payment_id as id, charge_id, amount, currency from sandbox.charges where charge_id is not null",
    )


def charged_in_sandbox(database: Database, user_id: UUID) -> UUID:
    """Request a payment, charge it in the sandbox, and record it."""
    payment_id = request(database, user_id).id
    with database.transaction() as session:
        charging.process(session, Sandbox(database), payment_id)
        session.execute("delete from jobs")  # It is done, and so is its receipt.
    return payment_id


def refunded_by_us(database: Database) -> set[UUID]:
    """Return the payments whose refund is in the books as an income of the same amount."""
    return _ids(
        database,
        """
        select payment.id from payments payment join transactions entry on entry.id = refund_transaction_id
        where state = 'refunded' and entry.kind = 'income' and entry.amount = payment.amount
        """,
    )


def refunded_by_sandbox(database: Database) -> set[UUID]:
    """Return the payments whose charge is refunded in the sandbox's ledger."""
    return _ids(
        database,
        """
        select payment_id as id from sandbox.charges join sandbox.refunds using (charge_id)
        where refunded_at is not null
        """,
    )


def charged_twice(database: Database) -> int:
    """Return how many charges in the sandbox's ledger are of a payment that has another one there."""
    with database.transaction() as session:
        rows = session.fetch_all("select payment_id from sandbox.charges where charge_id is not null")
    return len(rows) - len({row["payment_id"] for row in rows})


def requests_to_sandbox(database: Database) -> list[int]:
    """Return how often the sandbox was asked to charge under each key."""
    with database.transaction() as session:
        return [row["requests"] for row in session.fetch_all("select requests from sandbox.charges")]


def _ids(database: Database, query: str) -> set[UUID]:
    with database.transaction() as session:
        return {one["id"] for one in session.fetch_all(query)}


def sums(charges: dict[UUID, tuple[str, Decimal, str]]) -> dict[str, Decimal]:
    """Return the sum of each currency."""
    found: Counter[str] = Counter()
    for _, amount, currency in charges.values():
        found[currency] += amount  # type: ignore[assignment] # a counter of decimals
    return dict(found)  # type: ignore[arg-type]


def _by_payment(database: Database, query: str) -> dict[UUID, tuple[str, Decimal, str]]:
    with database.transaction() as session:
        rows = session.fetch_all(query)
    found = {one["id"]: (one["charge_id"], one["amount"], one["currency"]) for one in rows}
    assert len(found) == len(rows), "a payment was charged twice"
    return found
