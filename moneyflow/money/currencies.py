"""Currencies of ISO 4217 and the number of decimals of each.

The currencies of today are those of the standard's own table. Books of earlier years are kept in currencies that were
withdrawn since, such as the mark or the lev: CLDR, the Unicode consortium's data, knows those that were tender
somewhere. For a currency of today CLDR's decimals are not taken: they are those of the cash that is in use.
"""

from collections.abc import Mapping

import iso4217
from babel.core import get_global


def _decimals() -> Mapping[str, int]:
    fractions = get_global("currency_fractions")
    tenders = {
        code for spans in get_global("territory_currencies").values() for code, *_, is_tender in spans if is_tender
    }
    withdrawn = {code: fractions.get(code, fractions["DEFAULT"])[0] for code in tenders}
    # Without decimals are metals, units of account and test codes, which no one pays with.
    of_today = {currency.code: currency.exponent for currency in iso4217.Currency}
    known = withdrawn | of_today
    return {code: decimals for code, decimals in known.items() if decimals is not None}


#: The number of decimals of each currency.
DECIMALS = _decimals()


def decimals_of(currency: str) -> int:
    """Return the number of decimals of a currency, such as 2 for EUR.

    Raises:
        ValueError: there is no such currency.
    """
    try:
        return DECIMALS[currency]
    except KeyError:
        raise ValueError("must be a currency of ISO 4217 in three capital letters, such as EUR") from None
