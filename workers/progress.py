"""Progress of a running job, kept for its readers; and whether the job was asked to cancel."""

import time
from collections.abc import Callable
from typing import Any

from moneyflow.platform.errors import JobCancelledError

#: Seconds between two reports of one job at most: each costs a statement.
_EVERY_SECONDS = 1.0

#: Readers of JSON in other languages keep integers exactly up to here.
_LARGEST = 2**53
#: Characters of a note; more are cut off.
_LONGEST_NOTE = 1_000
#: Keeps the progress, when there is one, and returns whether the job was asked to cancel.
Report = Callable[[dict[str, Any] | None], bool]


def _text(note: object) -> str:
    """Return a note as Postgres stores it: short, without NUL and without half of a surrogate pair."""
    return str(note)[:_LONGEST_NOTE].replace("\x00", "�").encode("utf-8", "replace").decode()


class Progress:
    """The progress of one attempt; a handler calls it as often as it likes."""

    def __init__(self, report: Report, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self._report = report
        self._every_seconds = every_seconds
        self._reported_at = -every_seconds
        self._unreported: dict[str, Any] | None = None

    def __call__(self, done: float, total: float | None, note: str | None) -> None:
        """Record the progress, and report it when the last report is old enough.

        Raises:
            JobCancelledError: the job was asked to cancel; let it through.
            ValueError: `done` or `total` is no number that JSON has; names it.
        """
        for name, number in (("done", done), ("total", total)):
            if number is not None and not (isinstance(number, int | float) and abs(number) <= _LARGEST):
                raise ValueError(f"progress: {name}: {number!r} is not a number up to {_LARGEST}; give another unit")
        self._unreported = {"done": done, "total": total, "note": None if note is None else _text(note)}
        self.check()

    def check(self) -> None:
        """Ask whether to continue, when the last report is old enough; raises as above."""
        if time.monotonic() - self._reported_at >= self._every_seconds:
            self.report()

    def report(self) -> None:
        """Report and ask at once; raises as above."""
        unreported, self._unreported = self._unreported, None
        is_cancelled = self._report(unreported)
        self._reported_at = time.monotonic()
        if is_cancelled:
            raise JobCancelledError("the job was asked to cancel while it ran")

    def flush(self) -> None:
        """Report the last progress, if it came too soon after the one before."""
        if self._unreported is not None:
            unreported, self._unreported = self._unreported, None
            self._report(unreported)
