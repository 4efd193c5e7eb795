"""The payment provider Stripe, by its own library: a PaymentIntent is made and confirmed in one request.

A source is a ConfirmationToken (`ctoken_…`) or a PaymentMethod (`pm_…`) that Stripe's form has made. The request holds
the payment's id and nothing of a person: neither a description nor an address.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast
from uuid import UUID

import stripe

from moneyflow.gateways.payments import Charge, Charged, Declined, PaymentProvider, Refund, Refunded, RefundRefused
from moneyflow.gateways.payments.metrics import counted
from moneyflow.gateways.payments.minor_units import minor_units
from moneyflow.gateways.payments.settings import PaymentSettings
from moneyflow.platform.errors import InProgressError, PermanentError, UnavailableError

if TYPE_CHECKING:
    from stripe.params import PaymentIntentCreateParams, RefundCreateParams

T = TypeVar("T")

_CONFIRMATION_TOKEN = "ctoken_"  # nosec B105  # noqa: S105 - the beginning of an id
#: Seconds to connect, and for each part of an answer; Stripe's slowest charges take some twenty.
_TIMEOUT_SECONDS = (5.0, 40.0)
#: Of a request that is in work under the same key.
_CONFLICT = 409
#: Stripe has not decided yet. The answer to the same request would say so for ever, as it is kept under its key.
_UNDECIDED = "processing"

# SECURITY: at the level debug the library logs each request with its source.
logging.getLogger("stripe").setLevel(logging.WARNING)


class StripeProvider(PaymentProvider):
    """A `PaymentProvider` on Stripe's API.

    The library repeats no request by itself: the job's retry does, with the same key.
    """

    name = "stripe"

    def __init__(self, settings: PaymentSettings) -> None:
        self._base = settings.stripe_api_base
        self._http = stripe.RequestsClient(timeout=_TIMEOUT_SECONDS)
        self._client = stripe.StripeClient(
            settings.stripe_api_key.get_secret_value(),
            base_addresses={"api": settings.stripe_api_base},
            max_network_retries=0,
            http_client=self._http,
        )

    def charge(self, charge: Charge) -> Charged | Declined:
        """Make a PaymentIntent and confirm it; a bank that asks for a step of the person declines."""
        return counted(self.name, "charge", lambda: self._charge(charge))

    def find(self, payment_id: UUID, *, since: datetime) -> Charged | None:
        """Return the PaymentIntent of the payment that took money; Stripe's search lags, by a minute as a rule."""
        query = f"metadata['payment_id']:'{payment_id}' AND created>={int(since.timestamp()) - 60}"
        found = self._asked(lambda: self._client.v1.payment_intents.search({"query": query, "limit": 100}))
        for intent in found.data:
            if _is_of(intent, payment_id) and intent.status == "succeeded":
                return Charged(intent.id)
        return None

    def refund(self, refund: Refund) -> Refunded | RefundRefused:
        """Refund the whole PaymentIntent."""
        return counted(self.name, "refund", lambda: self._refund(refund))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()  # type: ignore[no-untyped-call]

    def _charge(self, charge: Charge) -> Charged | Declined:
        units = minor_units(charge.amount, charge.currency)
        if units is None:
            return Declined("amount_not_chargeable")
        create, options = self._client.v1.payment_intents.create, {"idempotency_key": str(charge.key)}
        try:
            intent = self._asked(lambda: create(_body(charge, units), cast("Any", options)))
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return Declined(_code(error))
        if intent.status == _UNDECIDED:
            intent = self._asked(lambda: self._client.v1.payment_intents.retrieve(intent.id))
        if intent.status == _UNDECIDED:
            raise InProgressError(f"Stripe has not decided about payment {charge.payment_id}; ask again later")
        return Charged(intent.id) if intent.status == "succeeded" else Declined(intent.status)

    def _refund(self, refund: Refund) -> Refunded | RefundRefused:
        body: RefundCreateParams = {
            "payment_intent": refund.charge_id,
            "metadata": {"payment_id": str(refund.payment_id)},
        }
        options = {"idempotency_key": str(refund.key)}
        try:
            made = self._asked(lambda: self._client.v1.refunds.create(body, cast("Any", options)))
        except (stripe.CardError, stripe.InvalidRequestError) as error:
            return Refunded() if error.code == "charge_already_refunded" else RefundRefused(_code(error))
        return RefundRefused(made.status) if made.status in {"failed", "canceled"} else Refunded()

    def _asked(self, request: Callable[[], T]) -> T:
        """Make a request; what means an outage, or the same request in work, becomes an error of the tree.

        SECURITY: the texts of Stripe's errors may name a source, so none of them is passed on.
        """
        try:
            return request()
        except (stripe.CardError, stripe.InvalidRequestError):
            raise
        except stripe.IdempotencyError:
            detail = "the idempotency key was used with another request; look for the payment in Stripe's dashboard"
            raise PermanentError(detail) from None
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            detail = f"Stripe refuses the key ({error.http_status}); correct STRIPE_API_KEY"
            raise UnavailableError(detail) from None
        except stripe.StripeError as error:
            if error.http_status == _CONFLICT:
                raise InProgressError("Stripe works on the same request; repeat it") from None
            what = f"answered {error.http_status}" if error.http_status else "did not answer"
            raise UnavailableError(f"Stripe at {self._base} {what}; retry later") from None


def _body(charge: Charge, units: int) -> "PaymentIntentCreateParams":
    """Return the body of a charge: the same for each attempt, so that it fits its key."""
    body: PaymentIntentCreateParams = {
        "allowed_payment_method_types": ["card"],
        "amount": units,
        "currency": charge.currency.lower(),
        "confirm": True,
        "error_on_requires_action": True,
        "metadata": {"payment_id": str(charge.payment_id)},
    }
    if charge.source.startswith(_CONFIRMATION_TOKEN):
        return {**body, "confirmation_token": charge.source}
    return {**body, "payment_method": charge.source}


def _code(error: stripe.CardError | stripe.InvalidRequestError) -> str:
    """Return why the bank or Stripe refuses, as one word.

    Raises:
        PermanentError: the request itself is at fault, and no other payment would fare better.
    """
    decline_code = getattr(error.error, "decline_code", None)
    code = str(decline_code or error.code or "")
    if not code and getattr(error, "param", None) == "currency":
        return "currency_not_supported"
    if not code or code.startswith("parameter_"):
        raise PermanentError(
            f"Stripe does not take our request ({code or 'without a code'}, status {error.http_status}); read its log "
            "in Stripe's dashboard, and deploy a version that corrects it"
        ) from None
    return code


def _is_of(intent: stripe.PaymentIntent, payment_id: UUID) -> bool:
    return (intent.to_dict().get("metadata") or {}).get("payment_id") == str(payment_id)
