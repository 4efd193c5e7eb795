"""The payment providers of the conformance suite: each with its own view of what it has charged and refunded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moneyflow.gateways.payments import PaymentProvider
from moneyflow.gateways.payments.fake import FakeProvider
from moneyflow.gateways.payments.sandbox import Sandbox
from moneyflow.gateways.payments.settings import PaymentSettings
from moneyflow.gateways.payments.stripe import StripeProvider
from moneyflow.platform.database import Database
from moneyflow.settings import load
from tests.support.stripe import API_KEY, Stripe, running_stripe_mock, stripe_before


@dataclass(frozen=True)
class Bank:
    """One provider, and from its own ledger how often money was taken and given back."""

    provider: PaymentProvider
    charges: Callable[[], int]
    refunds: Callable[[], int]


@contextmanager
def sandbox_bank(database: Database, _: Path) -> Iterator[Bank]:
    """Return the sandbox on a real Postgres."""

    def count(query: str) -> int:
        with database.transaction() as session:
            return len(session.fetch_all(query))

    yield Bank(
        Sandbox(database),
        charges=lambda: count("select from sandbox.charges where charge_id is not null"),
        refunds=lambda: count("select from sandbox.refunds where refunded_at is not null"),
    )


@contextmanager
def fake_bank(_: Database, _folder: Path) -> Iterator[Bank]:
    """Return the provider of unit tests."""
    provider = FakeProvider()
    yield Bank(provider, charges=lambda: len(provider.charges()), refunds=lambda: len(provider.refunds))


@contextmanager
def stripe_bank(_: Database, folder: Path) -> Iterator[Bank]:
    """Return Stripe's adapter before a real stripe-mock."""
    with running_stripe_mock(folder) as mock_port, stripe_before(mock_port) as stripe:
        provider = stripe_provider(stripe)
        yield Bank(provider, charges=lambda: len(stripe.charges), refunds=lambda: len(stripe.refunds))
        provider.close()


def stripe_settings(stripe: Stripe) -> dict[str, str]:
    """Return the environment of a worker that charges by this Stripe."""
    return {"PAYMENT_PROVIDER": "stripe", "STRIPE_API_KEY": API_KEY, "STRIPE_API_BASE": stripe.url}


def stripe_provider(stripe: Stripe) -> StripeProvider:
    """Return Stripe's adapter on the recording proxy."""
    return StripeProvider(load(PaymentSettings, stripe_settings(stripe)))
