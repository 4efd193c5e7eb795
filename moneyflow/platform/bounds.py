"""Bounds of times, waits, numbers and texts, so that Postgres can store them and Python can read them again.

Times and waits are checked where they enter. A wait of more than 100 years is taken for a mistake of the unit, such as
days for seconds.
"""

import math
from datetime import UTC, datetime, timedelta

from moneyflow.platform import clock
from moneyflow.platform.errors import InvalidInputError

LONGEST_WAIT = timedelta(days=36_525)
LONGEST_WAIT_SECONDS = LONGEST_WAIT.total_seconds()
#: The first time that is taken from outside, and the first that is not: each has a day to the ends of Python's years.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
#: The largest number of Postgres's integer.
LARGEST_INTEGER = 2**31 - 1

#: The longest wait in seconds that the end of an attempt may ask for, ten years.
_LONGEST_OF_AN_END_SECONDS = 10 * 366 * 86_400.0

_WAIT = f"{LONGEST_WAIT.days} days"


def is_wait(seconds: float) -> bool:
    """Return whether this is a number of seconds above 0 and of 100 years at most."""
    return math.isfinite(seconds) and 0 < seconds <= LONGEST_WAIT_SECONDS


def is_count(number: float) -> bool:
    """Return whether this is a whole number above 0 that Postgres's integer holds."""
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= LARGEST_INTEGER


def check_delay(delay: timedelta, *, name: str = "delay") -> None:
    """Check a wait from now; one below zero is due at once.

    Raises:
        InvalidInputError: it is longer than 100 years; names it.
    """
    if delay > LONGEST_WAIT:
        raise _invalid(name, f"{delay} is longer than {_WAIT}; give a shorter one")


def check_due(moment: datetime, *, name: str = "at") -> None:
    """Check the time at which something is due.

    Raises:
        InvalidInputError: it is before 1970 or more than 100 years from now; names it.
    """
    check_moment(moment, name=name)
    if moment - clock.now() > LONGEST_WAIT:
        raise _invalid(name, f"{moment} is more than {_WAIT} from now; give an earlier time")


def check_moment(moment: datetime, *, name: str) -> None:
    """Check a time from outside, such as one that is searched by.

    Raises:
        InvalidInputError: it is not between 1970 and 9998; names it.
    """
    if not EARLIEST <= moment < LATEST:
        raise _invalid(name, f"{moment} is not between 1970 and 9998; give a time between them")


def in_seconds(given: float | timedelta, *, of: str) -> float:
    """Return the wait that the end of an attempt asks for, in seconds; `of` names it in the error.

    Raises:
        TypeError: it is neither a number nor a timedelta.
        ValueError: it is negative, not finite, or longer than ten years.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{of} is a number of seconds or a timedelta, not a value of type {type(given).__name__}")
    if not 0 <= seconds <= _LONGEST_OF_AN_END_SECONDS:  # NaN is neither.
        raise ValueError(f"{of} is from 0 seconds to ten years, not {given!r}")
    return float(seconds)


def storable(text: str) -> str:
    """Return a text as Postgres and AMQP's headers take it: without NUL, and without half of a surrogate pair."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _invalid(name: str, problem: str) -> InvalidInputError:
    return InvalidInputError(f"{name}: {problem}", ((f"/{name}", problem),))
