"""How far a job is, told to who asks for it; and whether somebody asked the job to stop."""

import time
from collections.abc import Callable
from typing import Any

from moneyflow.platform.errors import JobCancelledError

#: Postgres is told, and asked, at most so often by one job.
_EVERY_SECONDS = 1.0

#: Keeps the progress, when there is one, and returns whether somebody asked to cancel the job.
Report = Callable[[dict[str, Any] | None], bool]


class Progress:
    """The progress of one try. A handler calls it as often as it likes."""

    def __init__(self, report: Report, *, every_seconds: float = _EVERY_SECONDS) -> None:
        self._report = report
        self._every_seconds = every_seconds
        self._told_at = -every_seconds
        self._untold: dict[str, Any] | None = None

    def __call__(self, done: float, total: float | None, note: str | None) -> None:
        """Keep how far the job is.

        Raises:
            JobCancelledError: somebody asked to cancel the job; let it through.
        """
        self._untold = {"done": done, "total": total, "note": note}
        self.check()

    def check(self) -> None:
        """Ask whether to go on; raises as above."""
        if time.monotonic() - self._told_at >= self._every_seconds:
            self.tell()

    def tell(self) -> None:
        """Tell and ask at once, whenever that was done last; raises as above."""
        untold, self._untold = self._untold, None
        is_cancelled = self._report(untold)
        self._told_at = time.monotonic()
        if is_cancelled:
            raise JobCancelledError("somebody asked to cancel the job while it ran")

    def tell_the_rest(self) -> None:
        """Tell the last of it, which came too soon after the one before."""
        if self._untold is not None:
            untold, self._untold = self._untold, None
            self._report(untold)
