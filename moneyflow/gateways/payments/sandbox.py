"""The payment provider for development and tests: it moves no money, and keeps a ledger as a real one does.

A source decides what happens: `tok_ok` is charged; `tok_declined` is declined; `tok_timeout` has no answer at first,
and is charged once by a later request; `tok_lost_answer` is charged, and the first answer is lost. The refund of such a
charge behaves the same. A currency that was withdrawn, such as DEM, is refused.
"""

from datetime import datetime
from pathlib import Path
from uuid import UUID

from moneyflow.gateways.payments import (
    Charge,
    Charged,
    Declined,
    PaymentProvider,
    Refund,
    Refunded,
    RefundRefused,
    behaviours,
)
from moneyflow.gateways.payments.metrics import counted
from moneyflow.platform.database import Database
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


class Sandbox(PaymentProvider):
    """A `PaymentProvider` whose ledger is the schema `sandbox`; each of its statements commits by itself."""

    name = "sandbox"

    def __init__(self, database: Database) -> None:
        self._database = database

    def charge(self, charge: Charge) -> Charged | Declined:
        """Charge as the source says."""
        return counted(self.name, "charge", lambda: self._charge(charge))

    def find(self, payment_id: UUID, *, since: datetime) -> Charged | None:  # noqa: ARG002 - keys here never expire
        """Return the charge of the payment."""
        with self._database.autocommit() as session:
            row = session.fetch_one(_QUERIES["find"], {"payment_id": payment_id})
        return Charged(row["charge_id"]) if row else None

    def refund(self, refund: Refund) -> Refunded | RefundRefused:
        """Refund as the source of the charge says."""
        return counted(self.name, "refund", lambda: self._refund(refund))

    def close(self) -> None:
        """Do nothing: the database is the caller's."""

    def _charge(self, charge: Charge) -> Charged | Declined:
        behaviour = behaviours.behaviour_of(charge.source)
        fields = {"key": charge.key, "payment_id": charge.payment_id, "amount": charge.amount}
        fields |= {"currency": charge.currency, "body_hash": behaviours.body_hash(charge), "behaviour": behaviour}
        with self._database.autocommit() as session:
            noted = session.fetch_one(_QUERIES["request"], fields)
            assert noted is not None
            behaviours.check_same(bytes(noted["body_hash"]), charge)
            behaviours.answer(behaviour, "timeout", requests=noted["requests"])
            code = behaviours.decline_code(charge)
            outcome = {"key": charge.key, "charge_id": None if code else _new_charge_id(), "decline_code": code}
            settled = session.fetch_one(_QUERIES["settle"], outcome)
        assert settled is not None
        behaviours.answer(behaviour, "lost_answer", requests=noted["requests"])
        return Charged(settled["charge_id"]) if settled["charge_id"] else Declined(settled["decline_code"])

    def _refund(self, refund: Refund) -> Refunded | RefundRefused:
        parameters = {"key": refund.key, "charge_id": refund.charge_id}
        with self._database.autocommit() as session:
            noted = session.fetch_one(_QUERIES["request_refund"], parameters)
            if noted is None:
                return RefundRefused("no_such_charge")
            behaviours.answer(noted["behaviour"], "timeout", requests=noted["requests"])
            session.execute(_QUERIES["refund"], parameters)
        behaviours.answer(noted["behaviour"], "lost_answer", requests=noted["requests"])
        return Refunded()


def _new_charge_id() -> str:
    return f"ch_{new_id().hex}"
