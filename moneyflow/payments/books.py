"""The books: what a payment and its refund are as transactions of their user."""

from datetime import date
from typing import Literal
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.money import transactions
from moneyflow.money.amounts import write_amount
from moneyflow.platform.database import Session


def enter_payment(session: Session, payment: DictRow) -> UUID:
    """Add the expense that a payment is, of the day on which it was asked for, with its event."""
    return _add(
        session,
        payment,
        kind="expense",
        on=payment["created_on"],
        note=payment["description"],
        category_id=payment["category_id"],
        payment_id=payment["id"],
    )


def enter_refund(session: Session, payment: DictRow) -> UUID:
    """Add the income that a refund is, of today. It has no category: that of the payment is one of expenses."""
    note = f"Refund: {payment['description']}" if payment["description"] else "Refund"
    return _add(session, payment, kind="income", on=payment["today"], note=note)


def _add(
    session: Session,
    payment: DictRow,
    *,
    kind: Literal["income", "expense"],
    on: date,
    note: str,
    category_id: UUID | None = None,
    payment_id: UUID | None = None,
) -> UUID:
    made = transactions.make(
        payment["user_id"],
        kind=kind,
        amount=write_amount(payment["amount"]),
        currency=payment["currency"],
        date=on,
        category_id=category_id,
        note=note,
        payment_id=payment_id,
    )
    return transactions.add(session, made).id
