"""Dates as banks write them, in one of three orders; a file has one order."""

import datetime as dt
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from babel.dates import get_month_names

from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern
from moneyflow.statements.reading.rows import RowError, shown

DateOrder = Literal["DMY", "MDY", "YMD"]

_LONGEST = 80
#: A date may be followed by a time of day.
_DATE = Pattern(
    r"\s*([0-9]{1,4}|[^\W\d_]{3,12}\.?)\s*[./\-\s,]\s*([0-9]{1,2}|[^\W\d_]{3,12}\.?)\s*[./\-\s,]\s*([0-9]{1,4})"
    r"(?:[T\s,].{0,30})?\s*",
    longest=_LONGEST,
)
_DIGITS = Pattern(r"\s*([0-9]{8})\s*", longest=40)
_ORDERS: tuple[DateOrder, ...] = ("DMY", "MDY", "YMD")
_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da")
_YEAR_DIGITS, _LAST_MONTH, _LAST_DAY = 4, 12, 31
#: Years of two digits, as POSIX reads them.
_CENTURY, _FIRST_OF_1900 = 100, 69


def _months() -> dict[str, int]:
    found: dict[str, int] = {}
    for language in _LANGUAGES:
        for width in ("abbreviated", "wide"):
            for context in ("format", "stand-alone"):
                for number, name in get_month_names(width, context, language).items():
                    found.setdefault(name.casefold().strip("."), number)
    return found | {"sept": 9, "mrz": 3, "mär": 3}


_MONTHS = _months()


def find_order(texts: Iterable[str]) -> DateOrder | None:
    """Return the order of the dates of a column; None where there is none.

    Raises:
        InvalidInputError: each date can be read in two ways, or some only in one way and some only in the other.
    """
    found: dict[DateOrder, str] = {}
    unclear = None
    for text in texts:
        parts = _parts(text)
        if parts is None:
            continue
        order = _order(parts, text)
        if order is None:
            unclear = unclear or text
        else:
            found.setdefault(order, text)
    if len(found) > 1:
        one, other = list(found.items())[:2]
        raise _unclear(f"{shown(one[1])} is {one[0]} and {shown(other[1])} is {other[0]}")
    if not found and unclear is not None:
        raise _unclear(f"{shown(unclear)} can be read as DMY and as MDY, and so can all others")
    return next(iter(found), None)


def read_date(text: str, order: DateOrder | None) -> dt.date:
    """Return the day that a text names in an order.

    Raises:
        RowError: it names none.
    """
    if len(text) > _LONGEST:
        raise RowError(f"the date {shown(text)} is none")
    return _read(text, order)


# PERF: the rows of a statement share their days, a dozen each.
@lru_cache(maxsize=1024)
def _read(text: str, order: DateOrder | None) -> dt.date:
    parts = _parts(text)
    if parts is None:
        raise RowError(f"the date {shown(text)} is none")
    if not parts[0].isdigit():  # January 31, 2024
        order = "MDY"
    elif not parts[1].isdigit():
        order = "YMD" if len(parts[0]) == _YEAR_DIGITS else "DMY"
    if order is None:
        order = _order(parts, text)
    places = {"DMY": (2, 1, 0), "MDY": (2, 0, 1), "YMD": (0, 1, 2)}
    try:
        year, month, day = (parts[place] for place in places[order or "YMD"])
        return dt.date(_year(year), _month(month), int(day))
    except ValueError:
        raise RowError(f"the date {shown(text)} is no day in the order {order}") from None


def is_date(text: str) -> bool:
    """Return whether a text has the form of a date."""
    parts = _parts(text)
    if parts is None:
        return False
    return any(_is_day(parts, order) for order in _ORDERS)


def _is_day(parts: tuple[str, str, str], order: DateOrder) -> bool:
    try:
        read_date("-".join(parts), order)
    except RowError:
        return False
    return True


def _parts(text: str) -> tuple[str, str, str] | None:
    if found := _DATE.fullmatch(text):
        return found[1], found[2], found[3]
    if found := _DIGITS.fullmatch(text):
        digits = found[1]
        if digits.startswith(("19", "20")):
            return digits[:4], digits[4:6], digits[6:]
        return digits[:2], digits[2:4], digits[4:]
    return None


def _order(parts: tuple[str, str, str], text: str) -> DateOrder | None:
    """Return the order in which alone these parts are a date, or None."""
    first, second, third = parts
    if len(first) == _YEAR_DIGITS and first.isdigit():
        return "YMD"
    if not first.isdigit():
        return "MDY"
    if not second.isdigit():
        return "DMY"
    if int(first) > _LAST_DAY and int(third) <= _LAST_DAY:
        return "YMD"
    if text.count(".") >= 2 or int(first) > _LAST_MONTH:  # noqa: PLR2004 - with points the day is always first
        return "DMY"
    return "MDY" if int(second) > _LAST_MONTH else None


def _year(text: str) -> int:
    year = int(text)
    if len(text) == _YEAR_DIGITS:
        return year
    if len(text) > 2:  # noqa: PLR2004 - neither 24 nor 2024
        raise ValueError(text)
    return year + (1900 if year >= _FIRST_OF_1900 else 2000)


def _month(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        return _MONTHS[text.casefold().strip(".")]
    except KeyError:
        raise ValueError(text) from None


def _unclear(problem: str) -> InvalidInputError:
    detail = f"must be DMY, MDY or YMD: {problem}"
    return InvalidInputError(f"mapping.date_format {detail}", (("/mapping/date_format", detail),))
