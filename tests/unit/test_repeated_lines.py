"""Repeated log lines: the first are written, the rest counted, and the count is in the log."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import structlog

from moneyflow.platform.telemetry.repeats import Repeats

_ROOT = Path(__file__).parents[2]


class Clock:
    """A clock that the test drives."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repeats(clock: Clock) -> Repeats:
    """Return what writes two of the same in a minute."""
    return Repeats(lines=2, seconds=60, now=clock)


def _written(repeats: Repeats, **line: Any) -> dict[str, Any] | None:
    try:
        return dict(repeats(None, "", {"event": "job_failed", "level": "warning", **line}))
    except structlog.DropEvent:
        return None


def _failed(number: int) -> dict[str, Any]:
    return {"job": "send_email", "job_id": str(uuid4()), "seconds": number / 7, "error": f"mx{number} refuses"}


def test_lines_that_differ_in_ids_and_numbers_are_written_twice_and_then_counted(
    repeats: Repeats, clock: Clock
) -> None:
    lines = [_written(repeats, **_failed(number)) for number in range(100)]
    clock.seconds = 61
    after = _written(repeats, **_failed(0))

    assert [line is not None for line in lines] == [True, True, *[False] * 98]
    assert after is not None
    assert after["repeated"] == 98
    assert lines[0] is not None
    assert "repeated" not in lines[0]


def test_a_period_that_ends_without_another_such_line_is_summed_up_once(repeats: Repeats, clock: Clock) -> None:
    for number in range(5):
        _written(repeats, **_failed(number))

    before = repeats.summaries()
    clock.seconds = 61

    assert before == []
    assert repeats.summaries() == [{"event": "job_failed", "level": "warning", "job": "send_email", "repeated": 3}]
    assert repeats.summaries() == []


def test_lines_of_another_kind_event_or_level_are_no_repeats(repeats: Repeats) -> None:
    for number in range(5):
        _written(repeats, **_failed(number))

    others: list[dict[str, Any]] = [{"job": "send_welcome"}, {"event": "job_cancelled"}, {"level": "error"}]
    assert all(_written(repeats, **_failed(1) | other) for other in others)


def test_long_texts_are_compared_by_their_beginning(repeats: Repeats) -> None:
    lines = [_written(repeats, error="x" * 1_000_000 + end) for end in "abc"]

    assert [line is not None for line in lines] == [True, True, False]


def test_lines_below_a_warning_are_all_written(repeats: Repeats) -> None:
    assert all(_written(repeats, level="info", job="send_email") for _ in range(50))


def test_lines_that_all_differ_take_a_bounded_memory(repeats: Repeats) -> None:
    names = [f"event_{chr(97 + one)}{chr(97 + other)}{chr(97 + third)}" for one in range(20) for other in range(20)
             for third in range(20)]  # fmt: skip

    assert all(_written(repeats, event=name) for name in names)
    assert len(repeats._periods) <= 1000


_PROCESS = """
import logging, uuid
import structlog
from moneyflow.platform.telemetry.logs import configure_logging
configure_logging("worker")
ours, theirs = structlog.get_logger("a test"), logging.getLogger("a.library")
for number in range(50):
    ours.warning("job_failed", job="send_email", job_id=str(uuid.uuid4()))
    theirs.warning("server %d is down", number)
    theirs.warning("the server is slow")
    ours.info("request_answered", path="/v1/users")
"""


def test_the_log_of_a_process_is_thinned_for_its_own_lines_and_those_of_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", _PROCESS], capture_output=True, text=True, check=True, cwd=_ROOT)

    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("job_failed") == events.count("the server is slow") == 10
    assert [event for event in events if event.startswith("server ")] == [f"server {n} is down" for n in range(10)]
    assert events.count("request_answered") == 50
    assert {line["process"] for line in lines} == {"worker"}
