"""Amounts as banks write them: 1.234,56 or 1,234.56 or 1 234,56 or 1'234.56, the minus before or after, or brackets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from moneyflow.money.currencies import DECIMALS
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern
from moneyflow.statements.reading.rows import RowError, shown

DecimalMark = Literal[".", ","]

#: Characters of an amount at most, with its grouping, its sign and its currency.
_LONGEST = 60
_MINUS = dict.fromkeys(map(ord, "\u2212\u2012\u2013\u2010\u2011\ufe63\uff0d"), "-")
#: White space and apostrophes between groups of digits; each is removed, as no decimal mark looks so.
_SPACES = dict.fromkeys(map(ord, " \t\u00a0\u202f\u2009\u2007'\u2019\u02bc`"))
_CURRENCY = Pattern(r"[A-Z]{3}", longest=_LONGEST)
#: The currency, by a symbol or letters: before the digits or after them.
_SYMBOLS = Pattern(r"[^0-9.,+()-]+", longest=_LONGEST)
_BETWEEN_DIGITS = Pattern(r"[0-9.,][^0-9.,+()-]+[0-9]", longest=_LONGEST)
#: What some write for no decimals: 12.- and 12,--
_NO_DECIMALS = (".--", ",--", ".-", ",-")
_NUMBER = Pattern(r"[0-9]*(?:[.,][0-9]+)*[.,]?", longest=_LONGEST)
#: PERF: what most amounts are.
_PLAIN = Pattern(r"([-+]?)([0-9]+(?:[.,][0-9]+)*)", longest=_LONGEST)
_SYMBOL_CURRENCIES = {"€": "EUR", "£": "GBP", "₹": "INR", "₺": "TRY", "₴": "UAH", "₪": "ILS", "₫": "VND", "₱": "PHP"}
_GROUP = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """An amount as it was written: its sign, its digits with their marks, and the currency that is next to them."""

    is_negative: bool
    digits: str
    currency: str | None


def split(text: str) -> Written:
    """Return the parts of an amount.

    Raises:
        RowError: it is none.
    """
    if len(text) > _LONGEST:
        raise RowError(f"the amount {shown(text)} is too long")
    if plain := _PLAIN.fullmatch(text):
        return Written(is_negative=plain[1] == "-", digits=plain[2], currency=None)
    currency = currency_in(text)
    bare = text.translate(_MINUS).translate(_SPACES)
    if _BETWEEN_DIGITS.search(bare):
        raise RowError(f"the amount {shown(text)} is no number")
    bare = _SYMBOLS.sub("", bare)
    for end in _NO_DECIMALS:
        bare = bare.removesuffix(end)
    is_negative = False
    if bare[:1] == "(" and bare[-1:] == ")":
        bare, is_negative = bare[1:-1], True
    if bare[:1] in {"-", "+"}:
        is_negative, bare = is_negative != (bare[0] == "-"), bare[1:]
    elif bare[-1:] in {"-", "+"}:
        is_negative, bare = is_negative != (bare[-1] == "-"), bare[:-1]
    if not bare.strip(".,") or not _NUMBER.fullmatch(bare):
        raise RowError(f"the amount {shown(text)} is no number")
    return Written(is_negative=is_negative, digits=bare, currency=currency)


def currency_in(text: str) -> str | None:
    """Return the currency that stands next to an amount, by its code or a symbol that is its alone."""
    if _PLAIN.fullmatch(text):
        return None
    for symbol, code in _SYMBOL_CURRENCIES.items():
        if symbol in text:
            return code
    found = _CURRENCY.search(text)
    return found[0] if found and found[0] in DECIMALS else None


def find_mark(texts: Iterable[str], *, currency: str | None) -> DecimalMark | None:
    """Return the decimal mark of a column; None where no amount shows it.

    Raises:
        InvalidInputError: some amounts show one and some the other; says what to give.
    """
    found: dict[DecimalMark, str] = {}
    open_: dict[DecimalMark, str] = {}
    for text in texts:
        try:
            written = split(text)
        except RowError:
            continue
        mark = _mark(written.digits, decimals=_decimals(written.currency or currency))
        if mark is not None:
            (open_ if _is_open(written.digits) else found).setdefault(mark, text)
    # Three digits after the only mark say something where nothing says more.
    found = found or open_
    if len(found) > 1:
        problem = f"must say which mark is before the decimals: there are {shown(found['.'])} and {shown(found[','])}"
        raise InvalidInputError(f"mapping.decimal {problem}", (("/mapping/decimal", problem),))
    return next(iter(found), None)


def read_number(text: str, *, mark: DecimalMark | None, currency: str | None) -> str:
    """Return an amount as a decimal number, with a minus before it when it is below zero.

    Raises:
        RowError: it is none, or its marks are not at their places.
    """
    written = split(text)
    digits = written.digits
    mark = mark or _mark(digits, decimals=_decimals(written.currency or currency))
    if mark is None and ("." in digits or "," in digits):
        if _is_open(digits):
            raise RowError(f"the amount {shown(text)} can be read in two ways; give the mapping's `decimal`")
        mark = "."
    grouping = "," if mark == "." else "."
    whole, _, decimals = digits.partition(mark or ".")
    groups = whole.split(grouping)
    is_grouped = all(len(group) == _GROUP for group in groups[1:]) and len(groups[0]) <= _GROUP
    if grouping in decimals or (mark or ".") in decimals or (len(groups) > 1 and not is_grouped):
        raise RowError(f"the amount {shown(text)} does not fit the decimal mark {mark!r} of the file")
    number = "".join(groups) + (f".{decimals}" if decimals else "")
    return f"-{number}" if written.is_negative else number


def _mark(digits: str, *, decimals: int | None) -> DecimalMark | None:
    """Return the decimal mark that one amount shows, or None."""
    dot, comma = digits.rfind("."), digits.rfind(",")
    if dot >= 0 and comma >= 0:
        return "." if dot > comma else ","
    if dot < 0 and comma < 0:
        return None
    last: DecimalMark = "." if dot >= 0 else ","
    other: DecimalMark = "," if last == "." else "."
    if digits.count(last) > 1:
        return other
    if not _is_open(digits):
        return last
    # Three digits after the only mark: decimals or a group. A currency of two decimals leaves no doubt.
    return other if decimals is not None and decimals < _GROUP else None


def _is_open(digits: str) -> bool:
    """Return whether the only mark of a number may be a decimal mark or one between groups."""
    whole, mark, after = digits.replace(",", ".").partition(".")
    return bool(mark) and "." not in after and len(after) == _GROUP and 1 <= len(whole) <= _GROUP and whole[0] != "0"


def _decimals(currency: str | None) -> int | None:
    return None if currency is None else DECIMALS.get(currency)
