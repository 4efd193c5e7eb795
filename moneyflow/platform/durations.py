"""Durations: seconds, as a number or a timedelta, checked where they are given."""

from datetime import timedelta

#: The longest duration in seconds, ten years: Postgres's clock and every reader of its times can add it to now.
LONGEST_SECONDS = 10 * 366 * 86_400.0


def in_seconds(given: float | timedelta, *, of: str) -> float:
    """Return the duration in seconds; `of` names it in the error.

    Raises:
        TypeError: it is neither a number nor a timedelta.
        ValueError: it is negative, not finite, or longer than ten years.
    """
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{of} is a number of seconds or a timedelta, not a value of type {type(given).__name__}")
    if not 0 <= seconds <= LONGEST_SECONDS:  # NaN is neither.
        raise ValueError(f"{of} is from 0 seconds to ten years, not {given!r}")
    return float(seconds)
