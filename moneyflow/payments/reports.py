"""Reports of the payment provider: webhooks are taken once, and recorded by a job."""

from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from moneyflow.gateways.payments import Charged, Declined
from moneyflow.gateways.payments.webhooks import ChargeEvent
from moneyflow.jobs.record_charge import RecordCharge
from moneyflow.payments import states
from moneyflow.platform.database import Session
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def take(session: Session, report: ChargeEvent) -> UUID | None:
    """Enqueue the job that records the report, and return its id; None when the same webhook came before."""
    if not session.count_rows(_QUERIES["take"], {"event_id": report.event_id}):
        return None
    job = RecordCharge(payment_id=report.payment_id, charge_id=report.charge_id, state=report.state, code=report.code)
    return enqueue(session, job)


def record(session: Session, job: RecordCharge) -> dict[str, Any]:
    """Bring the payment to the reported state; return the result of the job."""
    payment = states.lock(session, job.payment_id)
    if payment is None:
        log.warning("reported_payment_unknown", payment_id=str(job.payment_id), charge_id=job.charge_id)
        return states.unknown(job.payment_id)
    if job.state == "declined":
        return states.decide(session, payment, Declined(job.code or "declined"))
    charged = states.decide(session, payment, Charged(job.charge_id))
    if job.state == "succeeded":
        return charged
    # Of a charge and its refund the later one may come first, and it says both.
    changed = states.lock(session, job.payment_id)
    assert changed is not None
    return states.refunded(session, changed)
