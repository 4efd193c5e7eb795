"""Refunding: the steps of `refund_payment`; the provider is asked between two transactions, as when it charges."""

from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.gateways.payments import PaymentProvider, Refund, RefundRefused
from moneyflow.payments import states
from moneyflow.platform import failpoints
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_REFUNDED = failpoints.declare("worker.refunded")


def refund(session: Session, provider: PaymentProvider, payment_id: UUID) -> dict[str, Any]:
    """Refund a payment, and return the result of its job.

    Raises:
        UnavailableError: the provider does not answer; whether it has refunded is known by the next attempt.
        InProgressError: the provider works on the same request.
        PermanentError: another provider has charged.
    """
    payment = session.fetch_one(_QUERIES["refundable"], {"id": payment_id, "provider": provider.name})
    session.commit()
    session.release()
    outcome = None
    if payment is not None:
        states.check_provider(provider, payment["provider"])
        order = Refund(payment_id=payment_id, key=payment["refund_key"], charge_id=payment["charge_id"])
        outcome = provider.refund(order)
        failpoints.reach(_REFUNDED)
    locked = states.lock(session, payment_id)
    if locked is None:
        return states.unknown(payment_id)
    if isinstance(outcome, RefundRefused):
        session.execute(_QUERIES["refuse"], {"id": payment_id})
        return states.result(payment_id, locked["state"]) | {"refusal_code": outcome.code}
    if outcome is None:
        return states.result(payment_id, locked["state"], locked["decline_code"])
    return states.refunded(session, locked)
