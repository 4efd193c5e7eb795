"""The payment provider of unit tests: the sandbox with a ledger in memory."""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

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


@dataclass
class _Kept:
    """The requests under one key, and what came of them."""

    charge: Charge
    requests: int = 0
    outcome: Charged | Declined | None = None


@dataclass
class FakeProvider(PaymentProvider):
    """A `PaymentProvider` that keeps its charges by their keys, and how often each charge was asked to be refunded.

    While `error` is set, it raises that instead.
    """

    name: str = "fake"
    error: Exception | None = None
    kept: dict[UUID, _Kept] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def charge(self, charge: Charge) -> Charged | Declined:
        """Charge as the source says."""
        return counted(self.name, "charge", lambda: self._charge(charge))

    def charges(self) -> list[Charge]:
        """Return what was charged."""
        return [kept.charge for kept in self.kept.values() if isinstance(kept.outcome, Charged)]

    def find(self, payment_id: UUID, *, since: datetime) -> Charged | None:  # noqa: ARG002 - keys here never expire
        """Return the charge of the payment."""
        found = (kept.outcome for kept in self.kept.values() if kept.charge.payment_id == payment_id)
        return next((outcome for outcome in found if isinstance(outcome, Charged)), None)

    def refund(self, refund: Refund) -> Refunded | RefundRefused:
        """Refund as the source of the charge says."""
        return counted(self.name, "refund", lambda: self._refund(refund))

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _charge(self, charge: Charge) -> Charged | Declined:
        if self.error is not None:
            raise self.error
        behaviour = behaviours.behaviour_of(charge.source)
        with self._lock:
            kept = self.kept.setdefault(charge.key, _Kept(charge))
            behaviours.check_same(behaviours.body_hash(kept.charge), charge)
            kept.requests += 1
            behaviours.answer(behaviour, "timeout", requests=kept.requests)
            code = behaviours.decline_code(charge)
            kept.outcome = kept.outcome or (Declined(code) if code else Charged(f"ch_{uuid4().hex}"))
            behaviours.answer(behaviour, "lost_answer", requests=kept.requests)
            return kept.outcome

    def _refund(self, refund: Refund) -> Refunded | RefundRefused:
        if self.error is not None:
            raise self.error
        with self._lock:
            charges = [kept.charge for kept in self.kept.values() if kept.outcome == Charged(refund.charge_id)]
            if not charges:
                return RefundRefused("no_such_charge")
            behaviour = behaviours.behaviour_of(charges[0].source)
            requests = self.refunds[refund.charge_id] = self.refunds.get(refund.charge_id, 0) + 1
            behaviours.answer(behaviour, "timeout", requests=requests)
            behaviours.answer(behaviour, "lost_answer", requests=requests)
            return Refunded()
