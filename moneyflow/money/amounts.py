"""Amounts: exact decimals above zero, with as many decimals as their currency has.

An amount is text in JSON: a number there is a float to most readers, and floats lose cents.
"""

from decimal import Decimal

from moneyflow.money.currencies import DECIMALS, decimals_of
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern

#: Digits before the point: 999 trillion, more than any person's account in any currency.
_WHOLE_DIGITS = 15
#: No currency has more.
_MOST_DECIMALS = 4
LONGEST_AMOUNT = _WHOLE_DIGITS + 1 + _MOST_DECIMALS
#: As in JSON, without sign and exponent.
AMOUNT_FORM = rf"(0|[1-9][0-9]{{0,{_WHOLE_DIGITS - 1}}})(\.[0-9]{{1,{_MOST_DECIMALS}}})?"
_AMOUNT = Pattern(AMOUNT_FORM, longest=LONGEST_AMOUNT)


def amount_text(text: str) -> str:
    """Return a text that is an amount above zero of some currency.

    Raises:
        ValueError: it is not.
    """
    if not _AMOUNT.fullmatch(text):
        raise ValueError(f"must be a decimal number as text, with at most {_WHOLE_DIGITS} digits before the point")
    if not Decimal(text):
        raise ValueError("must be above zero; the kind says whether it is income or an expense")
    return text


def read_amount(text: str, currency: str) -> Decimal:
    """Return an amount with exactly the decimals of its currency.

    Raises:
        InvalidInputError: the amount or the currency does not fit; `errors` has /amount or /currency.
    """
    try:
        decimals = decimals_of(currency)
    except ValueError as error:
        raise _invalid("currency", str(error)) from None
    try:
        amount = Decimal(amount_text(text))
    except ValueError as error:
        raise _invalid("amount", str(error)) from None
    if len(text.partition(".")[2]) > decimals:
        raise _invalid("amount", f"must have at most {decimals} decimals: {currency} has no more")
    return amount.quantize(Decimal(1).scaleb(-decimals))


def write_amount(amount: Decimal) -> str:
    """Return an amount as text, with the decimals that it is stored with."""
    return f"{amount:f}"


def write_sum(total: Decimal, currency: str) -> str:
    """Return a sum of amounts as text, with the decimals of its currency, or more where an amount has more."""
    exponent = total.as_tuple().exponent
    stored = -exponent if isinstance(exponent, int) else 0
    return f"{total:.{max(stored, DECIMALS.get(currency, 0))}f}"


def _invalid(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"the {name} does not fit: it {problem}", ((f"/{name}", problem),))
