"""Ranges of days, as whole months and the days around them. PERF: years are read by their months."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from moneyflow.money.days import FIRST_DAY, LAST_DAY
from moneyflow.platform.errors import InvalidInputError

Interval = Literal["day", "week", "month", "year"]


@dataclass(frozen=True, kw_only=True)
class Range:
    """The days from `since` to `until`, both included."""

    since: dt.date
    until: dt.date

    @classmethod
    def of(cls, since: dt.date | None, until: dt.date | None) -> "Range":
        """Return a range; without an end it reaches as far as a transaction's date may.

        Raises:
            InvalidInputError: it ends before it begins.
        """
        made = cls(since=since or FIRST_DAY, until=until or LAST_DAY)
        if made.since > made.until:
            problem = "the query parameters from and to do not fit: from must not be above to"
            raise InvalidInputError(problem, (("/from", "must not be above to"),))
        return made

    def parameters(self, *, by_months: bool) -> dict[str, dt.date]:
        """Return where its months begin and end; all before the month of `since` is read by months in any case."""
        opening = self.since.replace(day=1)
        first = opening if opening == self.since else _next_month(opening)
        last = (self.until + dt.timedelta(days=1)).replace(day=1)
        if not by_months or last < first:
            first = last = opening
        return {
            "since": self.since,
            "until": self.until,
            "opening": opening,
            "first_month": first,
            "last_month": last,
        }


def _next_month(first: dt.date) -> dt.date:
    return (first + dt.timedelta(days=31)).replace(day=1)
