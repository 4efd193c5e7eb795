"""Payments: ask for one, read it, ask for its refund. The jobs do the rest."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from moneyflow.jobs.process_payment import ProcessPayment
from moneyflow.jobs.refund_payment import RefundPayment
from moneyflow.money.amounts import read_amount
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_NOT_REFUNDABLE = {
    "pending": "is not charged yet; wait until its state is succeeded",
    "declined": "was declined, so there is nothing to refund",
    "refunded": "is refunded already",
}


@dataclass(frozen=True, kw_only=True)
class PaymentOrder:
    """A payment as it is asked for: amount and currency as texts, and the provider's token of the card."""

    amount: str
    currency: str
    description: str
    category_id: UUID | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Payment:
    """A payment as its owner sees it."""

    id: UUID
    state: str
    amount: Decimal
    currency: str
    description: str
    category_id: UUID | None
    decline_code: str | None
    job_id: UUID
    transaction_id: UUID | None
    refund_transaction_id: UUID | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Requested:
    """A payment that was asked for, and the job that acts on it."""

    id: UUID
    job_id: UUID


def request(scope: OwnerScope, order: PaymentOrder) -> Requested:
    """Insert a pending payment with the job that charges it.

    Raises:
        InvalidInputError: the amount, the currency or the category does not fit; `errors` names it.
    """
    amount = read_amount(order.amount, order.currency)
    if order.category_id is not None:
        _check_category(scope, order.category_id)
    payment_id = new_id()
    job_id = enqueue(scope.session, ProcessPayment(payment_id=payment_id))
    fields = {"amount": amount, "currency": order.currency, "description": order.description}
    fields |= {"category_id": order.category_id, "source": order.source}
    scope.execute(_QUERIES["insert"], {"id": payment_id, "job_id": job_id, **fields})
    return Requested(id=payment_id, job_id=job_id)


def read(scope: OwnerScope, payment_id: UUID) -> Payment:
    """Return a payment.

    Raises:
        NotFoundError: the owner has no such payment.
    """
    return Payment(**scope.row(_QUERIES["payment"], payment_id, what="payment"))


def request_refund(scope: OwnerScope, payment_id: UUID) -> Requested:
    """Enqueue the job that refunds the whole payment; while one is unfinished, it is that one.

    Raises:
        NotFoundError: the owner has no such payment.
        ConflictError: it was not charged, or is refunded already.
    """
    row = scope.row(_QUERIES["lock_own"], payment_id, what="payment")
    if row["state"] != "succeeded":
        raise ConflictError(f"payment {payment_id} {_NOT_REFUNDABLE[row['state']]}")
    job_id = enqueue(scope.session, RefundPayment(payment_id=payment_id))
    scope.session.execute(_QUERIES["request_refund"], {"id": payment_id, "job_id": job_id})
    return Requested(id=payment_id, job_id=job_id)


def _check_category(scope: OwnerScope, category_id: UUID) -> None:
    if not scope.rows(_QUERIES["expense_category"], {"id": category_id}):
        problem = "is no category of yours for expenses; take one from GET /v1/categories?kind=expense"
        raise InvalidInputError(f"category_id {problem}", (("/category_id", problem),))
