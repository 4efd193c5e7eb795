"""Finishes that gather: one write for many, and each thread learns of its own job."""

import threading
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from moneyflow.errors import FenceLostError, PostgresDownError
from moneyflow.ledger.claim import Claim
from moneyflow.ledger.finish import Success
from tests.support.waiting import eventually
from workers.finisher import Finisher


def _success() -> Success:
    claim = Claim(
        id=uuid.uuid4(), kind="leave_effect", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=7,
        correlation_id=None, traceparent=None, wait_seconds=0.0, time_limit_seconds=60,
    )  # fmt: skip
    return Success(claim=claim)


def test_finishes_that_come_while_one_is_written_are_written_together() -> None:
    writes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def write(successes: Sequence[Success]) -> set[UUID]:
        writes.append(len(successes))
        begun.set()
        assert go_on.wait(10)
        return {success.claim.id for success in successes}

    finisher = Finisher(write)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(finisher.succeed, _success())
        assert begun.wait(10)
        others = [threads.submit(finisher.succeed, _success()) for _ in range(7)]
        eventually(lambda: len(finisher._gathered) == 7, what="seven wait")
        go_on.set()

    assert first.result() is None
    assert [other.result() for other in others] == [None] * 7
    assert writes == [1, 7]


def test_a_job_that_was_taken_over_is_told_so_and_its_neighbours_are_not() -> None:
    mine, lost = _success(), _success()
    finisher = Finisher(lambda _: {mine.claim.id})

    finisher.succeed(mine)

    with pytest.raises(FenceLostError, match=str(lost.claim.id)):
        finisher.succeed(lost)


def test_an_outage_reaches_every_job_of_the_write_and_the_same_call_may_be_repeated() -> None:
    answers: list[Exception | None] = [PostgresDownError("away"), None]

    def write(successes: Sequence[Success]) -> Collection[UUID]:
        error = answers.pop(0)
        if error is not None:
            raise error
        return {success.claim.id for success in successes}

    finisher, success = Finisher(write), _success()

    with pytest.raises(PostgresDownError):
        finisher.succeed(success)
    finisher.succeed(success)

    assert answers == []
