"""The payment gateway: `PaymentProvider` is its protocol.

Adapters are `stripe.StripeProvider`, `sandbox.Sandbox` for development, and `fake.FakeProvider` for unit tests.
All of them pass one conformance suite, `tests/integration/test_payment_providers.py`.

SECURITY: no card data comes here. A `source` is a token that the provider's own form has given to the client; it is in
the request to the provider, and in no log, error or representation.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

__all__ = ["Charge", "Charged", "Declined", "PaymentProvider", "Refund", "RefundRefused", "Refunded"]


@dataclass(frozen=True, kw_only=True)
class Charge:
    """An order to charge. All of it is fixed before the first attempt, so that each attempt sends the same request.

    `key` is the idempotency key: the provider charges once for it, however often it is asked.
    """

    payment_id: UUID
    key: UUID
    amount: Decimal
    currency: str
    source: str = field(repr=False)


@dataclass(frozen=True)
class Charged:
    """The money was taken; `charge_id` is the provider's own name of the charge."""

    charge_id: str


@dataclass(frozen=True)
class Declined:
    """The provider or the bank refuses this payment for good. It is the payment's result, and not an error."""

    code: str


@dataclass(frozen=True, kw_only=True)
class Refund:
    """An order to give back a whole charge; fixed before the first attempt, as a charge is."""

    payment_id: UUID
    key: UUID
    charge_id: str


@dataclass(frozen=True)
class Refunded:
    """The money of the charge was given back, by this request or by an earlier one."""


@dataclass(frozen=True)
class RefundRefused:
    """The provider refuses the refund for good."""

    code: str


class PaymentProvider(Protocol):
    """Charges and refunds; safe to use from several threads.

    Each method but `close` raises:
        UnavailableError: the provider is down, or its answer is lost: whether it acted is unknown. Repeat the request.
        InProgressError: the same request is in work there. Repeat it.
        PermanentError: the key was used with another request. No further attempt can mend it.
    """

    @property
    def name(self) -> str:
        """Return the name by which settings, payments and metrics know it."""
        ...

    def charge(self, charge: Charge) -> Charged | Declined:
        """Charge once for the key of the order, and return what came of it."""
        ...

    def find(self, payment_id: UUID, *, since: datetime) -> Charged | None:
        """Return the charge of a payment that was first attempted at `since`, however old its key is; None without one.

        It may miss a charge of the last minutes.
        """
        ...

    def refund(self, refund: Refund) -> Refunded | RefundRefused:
        """Give back the whole charge, once."""
        ...

    def close(self) -> None:
        """Close the connections; safe to repeat."""
        ...
