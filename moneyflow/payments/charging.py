"""Charging: the steps of `process_payment`, each of which may be the last of its process.

1. The attempt is noted and committed. From now on the payment may have been charged.
2. The provider is asked, with no transaction open. The request and its key are fixed in the payment's row, so that a
   later attempt is the same request, and the provider charges once.
3. The outcome, the transaction in the books, its event and the receipt commit together with the end of the job.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.gateways.payments import Charge, Charged, Declined, PaymentProvider
from moneyflow.payments import states
from moneyflow.platform import failpoints
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_BEFORE_CHARGE = failpoints.declare("worker.before_charge")
_CHARGED = failpoints.declare("worker.charged")
_DECIDED = failpoints.declare("worker.payment_decided")

#: Stripe keeps a key for 24 hours at least. When the first attempt is older than this, a charge is looked for first.
KEY_HOURS = 23


def process(session: Session, provider: PaymentProvider, payment_id: UUID) -> dict[str, Any]:
    """Charge a pending payment, and return the result of its job.

    Raises:
        UnavailableError: the provider does not answer; whether it has charged is known by the next attempt.
        InProgressError: the provider works on the same request.
        PermanentError: another provider was asked before, and may have charged.
    """
    parameters = {"id": payment_id, "provider": provider.name, "key_hours": KEY_HOURS}
    row = session.fetch_one(_QUERIES["begin"], parameters)
    session.commit()
    session.release()
    outcome = None if row is None else _outcome(provider, payment_id, row)
    payment = states.lock(session, payment_id)
    if payment is None:
        return states.unknown(payment_id)
    if outcome is None:
        return states.result(payment_id, payment["state"], payment["decline_code"])
    decided = states.decide(session, payment, outcome)
    failpoints.reach(_DECIDED)
    return decided


def _outcome(provider: PaymentProvider, payment_id: UUID, row: DictRow) -> Charged | Declined:
    """Return what comes, or came, of asking the provider to charge."""
    states.check_provider(provider, row["provider"])
    known = provider.find(payment_id, since=row["attempted_at"]) if row["is_old"] else None
    if known is not None:
        return known
    failpoints.reach(_BEFORE_CHARGE)
    outcome = provider.charge(
        Charge(
            payment_id=payment_id,
            key=row["job_id"],
            amount=row["amount"],
            currency=row["currency"],
            source=row["source"],
        )
    )
    failpoints.reach(_CHARGED)
    return outcome
