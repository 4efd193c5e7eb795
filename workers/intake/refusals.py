"""Refusals: messages on `jobs` that are no jobs, each counted, and logged once a minute for each reason.

RabbitMQ puts them on `jobs_failed`. A program that may write to `jobs` can write any number of them: they must not fill
the log.
"""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from workers.intake import metrics

log = structlog.get_logger(__name__)

#: Seconds between two log lines of one reason.
_LOG_SECONDS = 60.0


class Refusals:
    """Counts refusals, and logs the first of each reason in a minute with the number since the last line."""

    def __init__(self, *, log_seconds: float = _LOG_SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self._log_seconds = log_seconds
        self._now = now
        self._logged_at: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def add(self, *, reason: str, detail: str) -> None:
        """Count one refusal, and log it unless one of the same reason was logged in the last minute."""
        now = self._now()
        metrics.refused_messages.labels(reason).inc()
        self._unlogged[reason] += 1
        logged_at = self._logged_at.get(reason)
        if logged_at is not None and now - logged_at < self._log_seconds:
            return
        self._logged_at[reason] = now
        log.warning(
            "message_refused", reason=reason, detail=detail, messages=self._unlogged.pop(reason),
            consequence="it is on jobs_failed now",
        )  # fmt: skip
