"""Results: the dictionary that is kept with a job that succeeded, in the types that JSON has."""

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from pathlib import PurePath
from typing import Any
from uuid import UUID

import orjson

from moneyflow.platform.errors import PermanentError

#: Bytes of a result's JSON: a result is for a glance, and what is larger belongs in a table or a file.
MAX_RESULT_BYTES = 64 * 1024
#: Levels of lists and dictionaries inside one another; a list that contains itself has no end.
_DEEPEST = 32
#: The largest number that the readers of JSON take for what it is: an integer of 64 bits.
LARGEST_NUMBER = 2**63 - 1

_TOO_LARGE = f"the result takes more than {MAX_RESULT_BYTES} bytes: return a File, or a reference to where it is"


class InvalidResultError(PermanentError):
    """A handler returned what cannot be kept as its job's result; another attempt would return it again."""


class _NoFormError(Exception):
    """A value has no form in JSON; `place` is its keys and positions, the innermost first."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place: list[str] = []


def in_json(result: dict[Any, Any]) -> dict[str, Any]:
    """Return the result in JSON's own types; ids, dates, times, decimals and paths as text.

    Raises:
        InvalidResultError: a value has no form in JSON, and the text names its place; or the result is too large.
    """
    try:
        found: dict[str, Any] = _Conversion().of(result, 0)
    except _NoFormError as error:
        place = "".join(reversed(error.place))[:200]
        raise InvalidResultError(f"the result cannot be kept: result{place} {error.reason}") from None
    if len(orjson.dumps(found)) > MAX_RESULT_BYTES:
        raise InvalidResultError(_TOO_LARGE)
    return found


class _Conversion:
    """Converts one result, and stops where it is too large: what comes after that is not looked at."""

    def __init__(self) -> None:
        self._left = MAX_RESULT_BYTES

    def of(self, value: object, depth: int) -> Any:
        """Return the value in JSON's own types."""
        self._spend(1)
        if depth > _DEEPEST:
            raise _NoFormError(f"is more than {_DEEPEST} levels deep")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            self._spend(len(value))
            return _text(value)
        if isinstance(value, dict):
            return {self._key(key): self._inside(f".{key}", item, depth) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._inside(f"[{position}]", item, depth) for position, item in enumerate(value)]
        for kinds, convert in _CONVERSIONS.items():
            if isinstance(value, kinds):
                return convert(value)
        if isinstance(value, Enum):
            return self.of(value.value, depth + 1)
        raise _NoFormError(f"is of type {type(value).__name__[:100]}, which JSON has not: return text or numbers")

    def _key(self, key: object) -> str:
        if not isinstance(key, str):
            raise _NoFormError(f"has a key of type {type(key).__name__[:100]}: the keys of JSON are text")
        self._spend(len(key))
        return _text(key)

    def _inside(self, place: str, value: object, depth: int) -> Any:
        try:
            return self.of(value, depth + 1)
        except _NoFormError as error:
            error.place.append(place)
            raise

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise InvalidResultError(_TOO_LARGE)


def _text(value: str) -> str:
    plain = value if type(value) is str else str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise _NoFormError("has half of a surrogate pair, which Postgres cannot store: remove it") from None
    if "\x00" in plain:
        raise _NoFormError("has a NUL, which Postgres cannot store: remove it")
    return plain


def _integer(value: int) -> int:
    if abs(value) > LARGEST_NUMBER:
        raise _NoFormError("is an integer of more than 64 bits: return it as text")
    return int(value)


def _float(value: float) -> float:
    if not isfinite(value):
        raise _NoFormError("is NaN or infinite, which JSON has not: return None or a text")
    if abs(value) > LARGEST_NUMBER:
        raise _NoFormError("is a number of more than 64 bits: return it as text")
    return float(value)


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise _NoFormError("is NaN or infinite, which is no amount: return None or a text")
    return str(value)


_CONVERSIONS: dict[type, Callable[[Any], Any]] = {
    int: _integer,
    float: _float,
    Decimal: _decimal,
    UUID: str,
    date: lambda value: value.isoformat(),
    time: lambda value: value.isoformat(),
    PurePath: lambda value: _text(str(value)),
}
