"""What the sources of the sandbox do, for the provider of development and for the one of tests."""

import hashlib

from iso4217 import Currency

from moneyflow.gateways.payments import Charge
from moneyflow.platform.errors import PermanentError, UnavailableError

_BEHAVIOURS = frozenset({"ok", "declined", "timeout", "lost_answer"})
_UNKNOWN = "unknown"
_DECLINE_CODES = {"declined": "card_declined", _UNKNOWN: "invalid_source"}
_CURRENCIES_OF_TODAY = frozenset(currency.code for currency in Currency)


def behaviour_of(source: str) -> str:
    """Return what a source does: ok, declined, timeout, lost_answer or unknown."""
    name = source.removeprefix("tok_")
    return name if source.startswith("tok_") and name in _BEHAVIOURS else _UNKNOWN


def decline_code(charge: Charge) -> str | None:
    """Return why a charge is declined; a currency that was withdrawn is charged by no bank."""
    if charge.currency not in _CURRENCIES_OF_TODAY:
        return "currency_not_supported"
    return _DECLINE_CODES.get(behaviour_of(charge.source))


def body_hash(charge: Charge) -> bytes:
    """Return what is the same for the same request, whatever its key."""
    body = f"{charge.payment_id} {charge.amount.normalize():f} {charge.currency} {charge.source}"
    return hashlib.sha256(body.encode()).digest()


def check_same(known: bytes, charge: Charge) -> None:
    """Refuse another request under a known key.

    Raises:
        PermanentError: it is another one.
    """
    if known != body_hash(charge):
        raise PermanentError(f"the idempotency key {charge.key} was used with another request")


def answer(behaviour: str, point: str, *, requests: int) -> None:
    """Give no answer at a point, `timeout` or `lost_answer`, to the first request of a source that behaves like this.

    Raises:
        UnavailableError: the client gets no answer.
    """
    if behaviour == point and requests == 1:
        raise UnavailableError("the payment sandbox did not answer in time; retry later")
