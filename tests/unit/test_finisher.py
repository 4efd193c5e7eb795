"""Finishes that gather: one write for many, and each job learns of its own end."""

import threading
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Success
from tests.support.waiting import eventually
from workers.claims.retry import PostgresRetry
from workers.execution.completer import Completer, Completion


@dataclass
class Told:
    """What the finisher said of each job."""

    committed: dict[UUID, bool] = field(default_factory=dict)
    refused: dict[UUID, Exception] = field(default_factory=dict)

    def finish(self) -> Completion:
        claim = Claim(
            id=uuid.uuid4(), kind="leave_effect", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=7,
            correlation_id=None, traceparent=None, wait_seconds=0.0, time_limit_seconds=60,
        )  # fmt: skip
        return Completion(
            success=Success(claim=claim),
            committed=lambda held: self.committed.update({claim.id: held}),
            refused=lambda error: self.refused.update({claim.id: error}),
        )


def _id(finish: Completion) -> UUID:
    return finish.success.claim.id


def _all_held(successes: Sequence[Success]) -> set[UUID]:
    return {success.claim.id for success in successes}


def test_finishes_that_come_while_one_is_written_are_written_together_and_nobody_waits_for_them() -> None:
    writes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def write(successes: Sequence[Success]) -> set[UUID]:
        writes.append(len(successes))
        begun.set()
        assert go_on.wait(10)
        return _all_held(successes)

    told, finisher = Told(), Completer(write, PostgresRetry())
    finisher.start()
    finishes = [told.finish() for _ in range(8)]
    finisher.hand_over(finishes[0])
    assert begun.wait(10)
    for finish in finishes[1:]:
        finisher.hand_over(finish)
    assert told.committed == {}
    assert not finisher.wait_until_written(0.01)
    go_on.set()

    assert finisher.wait_until_written(10)
    assert told.committed == {_id(finish): True for finish in finishes}
    assert writes == [1, 7]


def test_a_job_that_was_taken_over_is_told_so_and_its_neighbour_is_not() -> None:
    told = Told()
    mine, lost = told.finish(), told.finish()
    finisher = Completer(lambda _: {_id(mine)}, PostgresRetry())
    finisher.hand_over(mine)
    finisher.hand_over(lost)
    finisher.start()

    assert finisher.wait_until_written(10)
    assert told.committed == {_id(mine): True, _id(lost): False}


def test_an_outage_is_waited_out() -> None:
    answers: list[Exception | None] = [PostgresDownError("away"), None]

    def write(successes: Sequence[Success]) -> Collection[UUID]:
        error = answers.pop(0)
        if error is not None:
            raise error
        return _all_held(successes)

    told, finisher = Told(), Completer(write, PostgresRetry())
    finish = told.finish()
    finisher.hand_over(finish)
    finisher.start()

    assert finisher.wait_until_written(10)
    assert told.committed == {_id(finish): True}


def test_one_that_cannot_be_stored_keeps_no_other_from_it() -> None:
    told = Told()
    finishes = [told.finish() for _ in range(3)]
    bad = finishes[1]

    def write(successes: Sequence[Success]) -> set[UUID]:
        if any(success is bad.success for success in successes):
            raise ValueError("a NUL")
        return _all_held(successes)

    finisher = Completer(write, PostgresRetry())
    for finish in finishes:
        finisher.hand_over(finish)
    finisher.start()

    assert finisher.wait_until_written(10)
    assert told.committed == {_id(finish): True for finish in finishes if finish is not bad}
    assert str(told.refused[_id(bad)]) == "a NUL"


def test_what_cannot_be_written_before_the_worker_stops_is_told_to_nobody_and_ends_no_thread() -> None:
    def write(_: Sequence[Success]) -> set[UUID]:
        raise PostgresDownError("away")

    told, patience = Told(), PostgresRetry()
    finisher = Completer(write, patience)
    finisher.hand_over(told.finish())
    finisher.start()
    patience.end()

    eventually(lambda: finisher.wait_until_written(0), seconds=10)
    assert told.committed == told.refused == {}
    assert finisher.thread.is_alive()
