"""Progress of a running job, kept for its readers; and whether the job was asked to cancel."""

import time
from collections.abc import Callable
from typing import Any

from moneyflow.platform.errors import JobCancelledError
from moneyflow.platform.jobs.store.results import LARGEST_NUMBER

#: Seconds between two reports of one job at most: each costs a statement.
_EVERY_SECONDS = 1.0

#: Characters of a note; what is longer is cut.
_NOTE_LIMIT = 500

#: Keeps the progress, when there is one, and returns whether the job was asked to cancel.
Report = Callable[[dict[str, Any] | None], bool]


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
            ValueError: a number is none that JSON has.
        """
        for name, number in (("done", done), ("total", 0 if total is None else total)):
            if not isinstance(number, int | float) or not abs(number) <= LARGEST_NUMBER:
                raise ValueError(f"progress: `{name}` is a finite number of at most 64 bits, not {number!r}")
        self._unreported = {"done": done, "total": total, "note": note if note is None else _stored(note)}
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


def _stored(note: str) -> str:
    """Return the note as Postgres can store it, cut: it is for a glance."""
    cut = note if len(note) <= _NOTE_LIMIT else f"{note[: _NOTE_LIMIT - 1]}…"
    return cut.replace("\x00", "�").encode("utf-8", "replace").decode()
