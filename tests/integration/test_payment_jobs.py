"""The jobs of payments, each by itself: what they do for a payment that there is, and for one that there is not."""

from decimal import Decimal
from uuid import UUID

import pytest

from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.jobs.process_payment import ProcessPayment
from moneyflow.jobs.record_charge import RecordCharge
from moneyflow.jobs.refund_payment import RefundPayment
from moneyflow.jobs.send_receipt import SendReceipt
from moneyflow.jobs.settle_payments import SettlePayments
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.enqueue import enqueue
from tests.support import payments, people
from workers.testing import new_mailbox, run_jobs


@pytest.fixture
def payment_id(database: Database) -> UUID:
    return payments.succeeded(database, people.add(database))


def test_a_payment_that_is_decided_is_processed_without_the_provider(database: Database, payment_id: UUID) -> None:
    provider = FakeProvider()
    with database.transaction() as session:
        enqueue(session, ProcessPayment(payment_id=payment_id))
        ran = run_jobs(session, kinds=["process_payment"], gateways=[provider])

    assert {one.outcome for one in ran} == {"succeeded"}
    assert provider.kept == {}


def test_a_payment_is_refunded_when_its_charge_is_the_providers(database: Database) -> None:
    provider, payment_id = FakeProvider(), payments.request(database, people.add(database)).id
    with database.transaction() as session:
        run_jobs(session, kinds=["process_payment"], gateways=[provider])
        session.execute("update payments set refund_key = job_id")
        enqueue(session, RefundPayment(payment_id=payment_id))
        (ran,) = run_jobs(session, kinds=["refund_payment"], gateways=[provider])

    assert ran.result == {"payment_id": str(payment_id), "state": "refunded"}


def test_a_receipt_is_sent_with_the_amount(database: Database, payment_id: UUID) -> None:
    mailbox = new_mailbox()
    with database.transaction() as session:
        session.execute("delete from jobs")
        enqueue(session, SendReceipt(payment_id=payment_id, state="succeeded"))
        (ran,) = run_jobs(session, gateways=[mailbox])

    assert ran.result == {"sent": True}
    assert "12.34 EUR" in mailbox.sent[0].html


def test_a_charge_is_recorded_with_the_amount_that_was_asked_for(database: Database) -> None:
    payment_id = payments.request(database, people.add(database), amount="5.120", currency="KWD").id
    with database.transaction() as session:
        enqueue(session, RecordCharge(payment_id=payment_id, charge_id="pi_1", state="succeeded"))
        (ran,) = run_jobs(session, kinds=["record_charge"])

    assert ran.result == {"payment_id": str(payment_id), "state": "succeeded"}
    assert [one["amount"] for one in payments.transactions(database)] == [Decimal("5.120")]


def test_settling_decides_what_no_job_will_charge(database: Database) -> None:
    payment_id = payments.request(database, people.add(database)).id
    with database.transaction() as session:
        session.execute("delete from jobs")
        enqueue(session, SettlePayments())
        (ran,) = run_jobs(session)

    assert ran.result == {"declined": 1}
    assert payments.row(database, payment_id)["decline_code"] == "cancelled"


@pytest.mark.parametrize(
    "job",
    [
        ProcessPayment(payment_id=new_id()),
        RefundPayment(payment_id=new_id()),
        SendReceipt(payment_id=new_id(), state="refunded"),
        RecordCharge(payment_id=new_id(), charge_id="pi_1", state="refunded"),
    ],
    ids=lambda job: job.kind,
)
def test_a_job_whose_payment_does_not_exist_is_done(job: Job, database: Database) -> None:
    with database.transaction() as session:
        enqueue(session, job)
        (ran,) = run_jobs(session)

    assert ran.outcome == "succeeded"
    assert ran.result is not None
    assert "exist" in str(ran.result["reason"])
