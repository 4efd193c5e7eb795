"""Repeated log lines are thinned: of warnings and errors that say the same, the first are written and the rest counted.

A server that is down, or a flood of bad jobs, repeats one line many times a second, and hides all others. Lines say the
same when level, event without its numbers, and all fields without digits are equal: ids, times and numbers differ. The
rows in Postgres are the record of every job; the log shows what happens.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from structlog.types import EventDict

#: Lines that say the same and are written in a period, and its seconds.
_LINES, _SECONDS = 10, 60.0
#: Characters of a text that are compared.
_COMPARED = 200
#: Seconds between two looks for periods that have ended.
_LOOK_SECONDS = 1.0
#: Different lines that are remembered; more of them are no repeats, and the oldest are forgotten.
_REMEMBERED = 1000
#: The field that has the number of lines that were left out.
REPEATED = "repeated"

_NUMBERS = dict.fromkeys(map(ord, "0123456789"))
_Key = tuple[object, ...]


@dataclass
class _Period:
    """A period of lines that say the same: since when, lines written, lines left out, and what they all say."""

    began: float
    event: str
    same: Mapping[str, Any]
    written: int = 0
    left_out: int = 0


class Repeats:
    """Counts the lines of a process that say the same. Threads share it."""

    def __init__(
        self, *, lines: int = _LINES, seconds: float = _SECONDS, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._seconds = seconds
        self._now = now
        self._periods: dict[_Key, _Period] = {}
        self._looks_at = 0.0
        self._lock = threading.Lock()

    def __call__(self, _: object, __: str, line: EventDict) -> EventDict:
        """Drop a line that was written often enough; the first one of the next period has the number of those."""
        if line.get("level") not in {"warning", "error", "critical"}:
            return line
        left_out = self.count(line)
        if left_out is None:
            raise structlog.DropEvent
        return {**line, REPEATED: left_out} if left_out else line

    def count(self, line: Mapping[str, Any]) -> int | None:
        """Return how many such lines were left out before this one; None when this one is left out as well."""
        texts = {name: value[:_COMPARED] for name, value in line.items() if isinstance(value, str)}
        same = {name: text for name, text in texts.items() if not _has_digit(text)}
        event = texts.get("event", "").translate(_NUMBERS)
        key, now = (event, *sorted(same.items())), self._now()
        with self._lock:
            period, left_out = self._periods.get(key), 0
            if period is None or now - period.began > self._seconds:
                left_out = period.left_out if period else 0
                self._periods.pop(key, None)
                period = self._periods[key] = _Period(now, event, same)
                self._forget()
            if period.written < self._lines:
                period.written += 1
                return left_out
            period.left_out += 1
            return None

    def summaries(self) -> list[dict[str, Any]]:
        """Return a line for each period that has ended with lines left out, and forget it.

        PERF: called for each line that is written; it looks once in a second.
        """
        now = self._now()
        if now < self._looks_at:
            return []
        with self._lock:
            self._looks_at = now + _LOOK_SECONDS
            ended = [key for key, period in self._periods.items() if now - period.began > self._seconds]
            periods = [self._periods.pop(key) for key in ended]
        return [
            {**period.same, "event": period.event, REPEATED: period.left_out} for period in periods if period.left_out
        ]

    def _forget(self) -> None:
        """Forget the oldest period, so that lines that all differ take no more memory."""
        if len(self._periods) > _REMEMBERED:
            del self._periods[next(iter(self._periods))]


class LibraryLines(logging.Filter):
    """Thins the lines of libraries, which come by the standard library's logging."""

    def __init__(self, repeats: Repeats) -> None:
        super().__init__()
        self._repeats = repeats

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written; it gets the number of those that were left out before it."""
        if record.levelno < logging.WARNING:
            return True
        line = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name}
        left_out = self._repeats.count(line)
        if left_out:
            setattr(record, REPEATED, left_out)
        return left_out is not None


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
