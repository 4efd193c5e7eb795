"""States of payments: what the provider says is recorded once, with the transaction that it is in the books.

Worker and webhook both come here, in any order and more than once. A payment goes from `pending` to `declined` or
`succeeded`, and from there to `refunded`; nothing leads back. One that counts as declined and was charged all the same
is `succeeded`: the provider knows where the money is.
"""

from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import structlog
from psycopg.rows import DictRow

from moneyflow.gateways.payments import Charged, Declined, PaymentProvider
from moneyflow.jobs.send_receipt import SendReceipt
from moneyflow.payments import books
from moneyflow.platform.database import Session
from moneyflow.platform.errors import PermanentError
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_UNCHARGED = frozenset({"pending", "declined"})


def lock(session: Session, payment_id: UUID) -> DictRow | None:
    """Return the payment, locked until the transaction ends, and None when there is none.

    The rows of its user and its category are locked first, because the transaction in the books refers to them: the
    deletion of either holds its row, and wants the payments that refer to it next.
    """
    for query in ("owner", "category"):
        session.execute(_QUERIES[query], {"id": payment_id})
    return session.fetch_one(_QUERIES["lock"], {"id": payment_id})


def check_provider(provider: PaymentProvider, asked: str) -> None:
    """Check that a payment is with this provider.

    Raises:
        PermanentError: another one was asked to charge it.
    """
    if asked != provider.name:
        raise PermanentError(
            f"the payment is with {asked}, and this worker charges by {provider.name}; set PAYMENT_PROVIDER={asked} "
            "for a worker and replay the job"
        )


def decide(session: Session, payment: DictRow, outcome: Charged | Declined) -> dict[str, Any]:
    """Record that the locked payment was charged or declined, unless it is recorded; return the result of a job."""
    if isinstance(outcome, Charged) and payment["state"] in _UNCHARGED:
        return _succeed(session, payment, outcome.charge_id)
    if isinstance(outcome, Declined) and payment["state"] == "pending":
        session.execute(_QUERIES["decline"], {"id": payment["id"], "code": outcome.code})
        log.info("payment_declined", payment_id=str(payment["id"]), decline_code=outcome.code)
        return result(payment["id"], "declined", outcome.code)
    if isinstance(outcome, Charged) and payment["charge_id"] != outcome.charge_id:
        log.error("payment_charged_twice", payment_id=str(payment["id"]), charge_id=outcome.charge_id)
    return result(payment["id"], payment["state"], payment["decline_code"])


def refunded(session: Session, payment: DictRow) -> dict[str, Any]:
    """Record that the locked payment was refunded, unless it is; the money that came back is an income of today."""
    if payment["state"] == "succeeded":
        transaction_id = books.enter_refund(session, payment) if payment["user_id"] else None
        session.execute(_QUERIES["refund"], {"id": payment["id"], "transaction_id": transaction_id})
        _mail(session, payment, "refunded")
        log.info("payment_refunded", payment_id=str(payment["id"]))
        return result(payment["id"], "refunded")
    return result(payment["id"], payment["state"], payment["decline_code"])


def unknown(payment_id: UUID) -> dict[str, Any]:
    """Return the result of a job whose payment does not exist."""
    return {"payment_id": str(payment_id), "state": None, "reason": "the payment does not exist"}


def result(payment_id: UUID, state: str, decline_code: str | None = None) -> dict[str, Any]:
    """Return the result of a job that has acted on a payment."""
    shown = {"payment_id": str(payment_id), "state": state}
    return shown | ({"decline_code": decline_code} if decline_code else {})


def _succeed(session: Session, payment: DictRow, charge_id: str) -> dict[str, Any]:
    session.execute(_QUERIES["succeed"], {"id": payment["id"], "charge_id": charge_id})
    if payment["user_id"] is not None:
        books.enter_payment(session, payment)
    _mail(session, payment, "succeeded")
    log.info("payment_succeeded", payment_id=str(payment["id"]), charge_id=charge_id)
    return result(payment["id"], "succeeded")


def _mail(session: Session, payment: DictRow, state: Literal["succeeded", "refunded"]) -> None:
    if payment["user_id"] is not None:
        enqueue(session, SendReceipt(payment_id=payment["id"], state=state))
