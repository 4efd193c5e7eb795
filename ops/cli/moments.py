"""Moments and spans of time as an operator writes them."""

import re
from datetime import datetime, timedelta

from moneyflow.platform.errors import InvalidInputError

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str, *, option: str) -> timedelta:
    """Read a span such as `90s`, `10m`, `2h` or `1d`.

    Raises:
        InvalidInputError: it is none; names the option.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidInputError(f"{option}: give a number and one of s, m, h and d, such as 10m, not {text!r}")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise InvalidInputError(f"{option}: {text} is too long") from error


def moment(text: str, *, option: str) -> datetime:
    """Read a moment as RFC 3339 writes it.

    Raises:
        InvalidInputError: it is none, or has no time zone; names the option.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"{option}: {text!r} is no moment; write it like 2026-01-31T09:00:00Z") from error
    if read.tzinfo is None:
        raise InvalidInputError(f"{option}: {text} has no time zone; end it with Z or +01:00")
    return read
