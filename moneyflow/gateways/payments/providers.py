"""The payment provider that the settings name."""

from moneyflow.gateways.payments import PaymentProvider
from moneyflow.gateways.payments.sandbox import Sandbox
from moneyflow.gateways.payments.settings import PaymentSettings
from moneyflow.gateways.payments.stripe import StripeProvider
from moneyflow.platform.database import Database


def provider_of(settings: PaymentSettings, database: Database) -> PaymentProvider:
    """Return the provider; the sandbox keeps its ledger in `database`, by statements that commit on their own."""
    return StripeProvider(settings) if settings.payment_provider == "stripe" else Sandbox(database)
