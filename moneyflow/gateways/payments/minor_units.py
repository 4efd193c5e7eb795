"""Amounts in Stripe's minor units, by Stripe's own rules, which differ from ISO 4217 in some currencies.

https://docs.stripe.com/currencies#minor-units-in-api-amounts
"""

from decimal import Decimal

#: Currencies whose amount is sent as it is.
_ZERO_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
#: Currencies without decimals that Stripe takes with two, which must be zeros.
_WHOLE_HUNDREDS = frozenset({"ISK", "UGX"})
#: Currencies with three decimals, of which Stripe's partners need the last to be zero.
_WHOLE_TENS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def minor_units(amount: Decimal, currency: str) -> int | None:
    """Return the amount as Stripe's requests have it, or None when Stripe can only charge a rounded one.

    Another amount than the one that was asked for is never charged, so it is not rounded here. HUF and TWD have two
    decimals in charges; they are whole in payouts alone.
    """
    exponent, step = _scale(currency)
    units = amount.scaleb(exponent)
    whole = int(units)
    return whole if units == whole and whole % step == 0 else None


def _scale(currency: str) -> tuple[int, int]:
    """Return the decimals of a currency in Stripe's requests, and of what the amount must be a multiple."""
    if currency in _ZERO_DECIMALS:
        return 0, 1
    if currency in _WHOLE_HUNDREDS:
        return 2, 100
    if currency in _WHOLE_TENS:
        return 3, 10
    return 2, 1
