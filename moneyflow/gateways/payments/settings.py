"""The payment gateway's settings: what charges, and what verifies the provider's webhooks, are apart."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import SecretStr, model_validator

from moneyflow.platform.settings import Section

_STRIPE = "https://api.stripe.com"


class PaymentSettings(Section):
    """Payments: the provider, and Stripe's key; for workers, which charge."""

    #: Stripe gives it.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"stripe_api_key"})

    payment_provider: Literal["sandbox", "stripe"] = "sandbox"
    stripe_api_key: SecretStr = SecretStr("")
    stripe_api_base: str = _STRIPE

    @model_validator(mode="after")
    def _has_key(self) -> Self:
        """Refuse Stripe without its key."""
        if self.payment_provider == "stripe" and not self.stripe_api_key.get_secret_value():
            raise ValueError(
                "STRIPE_API_KEY is not set, and PAYMENT_PROVIDER is stripe; take it from Stripe's dashboard"
            )
        return self

    @classmethod
    def production_problems(cls, values: Mapping[str, str]) -> list[str]:
        """Refuse to send Stripe's key in clear text."""
        found = super().production_problems(values)
        if values["payment_provider"] == "stripe" and not values["stripe_api_base"].startswith("https://"):
            found.append(f"STRIPE_API_BASE must begin with https://, or the key is sent in clear text; set {_STRIPE}")
        return found


class PaymentWebhookSettings(Section):
    """Webhooks of the payment provider: the secret by which the API verifies them, and not the key that charges."""

    #: Stripe gives it.
    optional_secrets: ClassVar[frozenset[str]] = frozenset({"stripe_webhook_secret"})

    #: Two, separated by a comma, while it is rotated.
    stripe_webhook_secret: SecretStr = SecretStr("")

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that sign webhooks; none: every webhook is refused."""
        parts = self.stripe_webhook_secret.get_secret_value().split(",")
        return tuple(part.strip() for part in parts if part.strip())
