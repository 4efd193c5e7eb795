"""Days: the dates of transactions, which are days in the user's calendar and not moments."""

from datetime import date

from moneyflow.platform.patterns import Pattern

_DAY = Pattern(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", longest=10)
#: A year outside of this is a mistake of the typist.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2199, 12, 31)


def read_day(text: object) -> date:
    """Return the day that a text of the form YYYY-MM-DD names.

    Raises:
        ValueError: it names none, or one outside of the years 1900 to 2199.
    """
    if isinstance(text, str) and _DAY.fullmatch(text):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            day = date.min
        if FIRST_DAY <= day <= LAST_DAY:
            return day
    raise ValueError(f"must be a day as YYYY-MM-DD, from {FIRST_DAY} to {LAST_DAY}")
