"""Webhooks of Stripe: verified by Stripe's own library, and read as far as they say something about a payment of ours.

https://docs.stripe.com/webhooks
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import orjson
from stripe import SignatureVerificationError, WebhookSignature

from moneyflow.platform.errors import InvalidInputError, UnauthenticatedError
from moneyflow.platform.ids import parse_id

#: Seconds for which a signature is valid; Stripe's own number.
TOLERANCE_SECONDS = 300
#: Characters of the ids that are kept; Stripe's are shorter than 255.
_LONGEST_ID = 255

State = Literal["succeeded", "declined", "refunded"]


@dataclass(frozen=True, kw_only=True)
class ChargeEvent:
    """What an event says about a payment; `code` says why it was declined."""

    event_id: str
    payment_id: UUID
    charge_id: str
    state: State
    code: str | None = None


def verify(content: bytes, signature: str | None, secrets: Sequence[str]) -> None:
    """Check that one of the secrets has signed the body, and lately.

    Raises:
        UnauthenticatedError: it is forged, or older than five minutes, or there is no secret to check it by.
    """
    if not secrets:
        raise UnauthenticatedError("no webhook is taken here; set STRIPE_WEBHOOK_SECRET to the secret of the endpoint")
    for secret in secrets:
        try:
            WebhookSignature.verify_header(content, signature, secret, TOLERANCE_SECONDS)
        except (SignatureVerificationError, UnicodeDecodeError):
            continue
        return
    raise UnauthenticatedError(
        "the header Stripe-Signature does not sign this body, or did so more than five minutes ago; check the secret "
        "of the endpoint, and the clock of this machine"
    )


def read_event(content: bytes) -> ChargeEvent | None:
    """Return what a verified event says about a payment of ours; None when it is about something else.

    Raises:
        InvalidInputError: it is no event.
    """
    try:
        event = orjson.loads(content)
        id_, kind, thing = event["id"], event["type"], event["data"]["object"]
        payment_id = parse_id(str((thing.get("metadata") or {}).get("payment_id", "")))
        found = _SAYS[kind](thing) if kind in _SAYS else None
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        raise InvalidInputError("the body is no event of Stripe") from None
    if found is None or payment_id is None or not _is_id(id_) or not _is_id(found[0]):
        return None
    charge_id, state, code = found
    return ChargeEvent(event_id=id_, payment_id=payment_id, charge_id=charge_id, state=state, code=code)


def _intent_succeeded(intent: Mapping[str, Any]) -> tuple[str, State, str | None]:
    return intent["id"], "succeeded", None


def _intent_failed(intent: Mapping[str, Any]) -> tuple[str, State, str | None]:
    error = intent.get("last_payment_error") or {}
    return intent["id"], "declined", str(error.get("decline_code") or error.get("code") or "declined")


def _charge_refunded(charge: Mapping[str, Any]) -> tuple[str, State, str | None] | None:
    """Return the refund of a whole charge: a part of it changes nothing, as a payment is refunded or not."""
    return (charge["payment_intent"], "refunded", None) if charge.get("refunded") else None


_SAYS = {
    "payment_intent.succeeded": _intent_succeeded,
    "payment_intent.payment_failed": _intent_failed,
    "charge.refunded": _charge_refunded,
}


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_ID and value.isascii() and value.isprintable()
