"""Times, spans and rates as an operator writes them: `2026-01-31T03:00Z`, `90s`, `50/s`."""

from datetime import UTC, datetime, timedelta

from moneyflow.platform import clock
from moneyflow.platform.bounds import LONGEST_WAIT, check_delay, check_moment
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.patterns import Pattern

_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = Pattern(r"(\d+(?:\.\d+)?)\s*([smhd])", longest=40)
_RATE = Pattern(r"(\d+(?:\.\d+)?)(?:/([smh]))?", longest=40)

#: Items per second; any faster is the same as no rate.
_SLOWEST, _FASTEST = 1 / 3600, 1e6
#: What `moment_or_ago` reads, for the help of options.
WHEN = "a time such as 2026-01-31T03:00Z, or how long ago: 90s, 30m, 2h, 7d"


def span(text: str, *, option: str) -> timedelta:
    """Read a span such as `90s`, `10m`, `2h` or `1d`.

    Raises:
        InvalidInputError: the text is not a span; names the option.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise InvalidInputError(f"{option}: give a number and one of s, m, h and d, such as 10m, not {text!r}")
    try:
        given = timedelta(seconds=float(found[1]) * _UNIT_SECONDS[found[2]])
    except OverflowError as error:
        raise InvalidInputError(f"{option}: {text} is too long; give at most {LONGEST_WAIT.days}d") from error
    check_delay(given, name=option)
    return given


def moment(text: str, *, option: str) -> datetime:
    """Read an RFC 3339 time, which must have a time zone.

    Raises:
        InvalidInputError: the text is not such a time; names the option.
    """
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise InvalidInputError(f"{option}: {text!r} is not a time; write it like 2026-01-31T09:00:00Z") from error
    if read.tzinfo is None:
        raise InvalidInputError(f"{option}: {text} has no time zone; end it with Z or +01:00")
    check_moment(read, name=option)
    return read


def moment_or_ago(text: str, *, option: str) -> datetime:
    """Read a time, in UTC when it has no time zone, or a span before now.

    Raises:
        InvalidInputError: the text is neither; names the option.
    """
    try:
        if _SPAN.fullmatch(text.strip()):
            return clock.now() - span(text, option=option)
        read = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError, InvalidInputError) as error:
        raise InvalidInputError(f"{option} {text}: give {WHEN}") from error
    aware = read if read.tzinfo else read.replace(tzinfo=UTC)
    check_moment(aware, name=option)
    return aware


def rate_per_second(text: str, *, option: str) -> float:
    """Read a rate such as `50`, `50/s`, `600/m` or `1000/h`, in items per second.

    Raises:
        InvalidInputError: the text is not a rate above 0; names the option.
    """
    found = _RATE.fullmatch(text.strip())
    rate = float(found[1]) / _UNIT_SECONDS[found[2] or "s"] if found else 0
    if not _SLOWEST <= rate <= _FASTEST:
        raise InvalidInputError(
            f"{option} {text}: give a number above 0 such as 50/s, 600/m or 1000/h, and at least 1/h"
        )
    return rate
