"""Ends of jobs in the log: one alone says all of itself, those of one moment stand together and none is left out."""

import uuid

from structlog.testing import capture_logs

from moneyflow.platform.jobs.store.claims import Claim
from tests.support.waiting import eventually
from workers.execution.end_log import EndLog


def _claim(correlation_id: str | None) -> Claim:
    return Claim(
        id=uuid.uuid4(), kind="leave_effect", version=1, priority=5, payload={}, attempt=2, max_attempts=3, fence=7,
        correlation_id=correlation_id, traceparent=None, wait_seconds=0.0, time_limit_seconds=60,
    )  # fmt: skip


def test_one_alone_says_all_of_itself() -> None:
    claim, end_log = _claim("r-1"), EndLog()

    end_log.succeeded(claim, 0.123456)
    with capture_logs() as lines:
        end_log.tell()
        end_log.tell()

    (line,) = lines
    assert line | {"log_level": ""} == {
        "event": "job_ended",
        "log_level": "",
        "outcome": "succeeded",
        "seconds": 0.1235,
        "job_id": str(claim.id),
        "job": "leave_effect",
        "attempt": 2,
        "correlation_id": "r-1",
    }


def test_those_of_one_moment_stand_together_in_lines_that_stay_readable() -> None:
    claims, end_log = [_claim(f"r-{number // 2}") for number in range(51)], EndLog()

    for claim in claims:
        end_log.succeeded(claim)
    with capture_logs() as lines:
        end_log.tell()

    assert [(line["event"], line["count"]) for line in lines] == [("jobs_ended", 50), ("jobs_ended", 1)]
    assert [job_id for line in lines for job_id in line["job_ids"]] == [claim.id for claim in claims]
    assert lines[0]["correlation_ids"] == [f"r-{number}" for number in range(25)]


def test_they_are_told_by_a_thread_of_its_own() -> None:
    end_log = EndLog()
    with capture_logs() as lines:
        end_log.start()
        for _ in range(3):
            end_log.succeeded(_claim(None))
        eventually(lambda: lines, what="a line is there")
        end_log.succeeded(_claim(None))
        eventually(lambda: sum(line.get("count", 1) for line in lines) == 4, what="all four are told of")
