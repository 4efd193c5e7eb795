"""Completer: one write for many successes, and each job learns of its own end."""

import threading
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.jobs.store.claims import Claim
from moneyflow.platform.jobs.store.completion import Success
from tests.support.waiting import eventually
from workers.claims.retry import PostgresRetry
from workers.execution.completer import Completer, Pending


@dataclass
class Recorded:
    """What the completer called back for each job."""

    committed: dict[UUID, bool] = field(default_factory=dict)
    refused: dict[UUID, Exception] = field(default_factory=dict)

    def finish(self) -> Pending:
        claim = Claim(
            id=uuid.uuid4(), kind="leave_effect", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=7,
            correlation_id=None, traceparent=None, wait_seconds=0.0, time_limit_seconds=60,
        )  # fmt: skip
        return Pending(
            success=Success(claim=claim),
            committed=lambda held: self.committed.update({claim.id: held}),
            refused=lambda error: self.refused.update({claim.id: error}),
        )


def _id(finish: Pending) -> UUID:
    return finish.success.claim.id


def _all_held(successes: Sequence[Success]) -> set[UUID]:
    return {success.claim.id for success in successes}


def test_successes_that_come_while_one_is_written_are_written_together_and_no_thread_waits_for_them() -> None:
    writes: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def write(successes: Sequence[Success]) -> set[UUID]:
        writes.append(len(successes))
        begun.set()
        assert go_on.wait(10)
        return _all_held(successes)

    recorded, completer = Recorded(), Completer(write, PostgresRetry())
    completer.start()
    pending = [recorded.finish() for _ in range(8)]
    completer.hand_over(pending[0])
    assert begun.wait(10)
    for finish in pending[1:]:
        completer.hand_over(finish)
    assert recorded.committed == {}
    assert not completer.wait_until_written(0.01)
    go_on.set()

    assert completer.wait_until_written(10)
    assert recorded.committed == {_id(finish): True for finish in pending}
    assert writes == [1, 7]


def test_a_job_that_was_taken_over_learns_so_and_its_neighbour_succeeds() -> None:
    recorded = Recorded()
    mine, lost = recorded.finish(), recorded.finish()
    completer = Completer(lambda _: {_id(mine)}, PostgresRetry())
    completer.hand_over(mine)
    completer.hand_over(lost)
    completer.start()

    assert completer.wait_until_written(10)
    assert recorded.committed == {_id(mine): True, _id(lost): False}


def test_an_outage_is_waited_out() -> None:
    answers: list[Exception | None] = [PostgresDownError("down"), None]

    def write(successes: Sequence[Success]) -> Collection[UUID]:
        error = answers.pop(0)
        if error is not None:
            raise error
        return _all_held(successes)

    recorded, completer = Recorded(), Completer(write, PostgresRetry())
    finish = recorded.finish()
    completer.hand_over(finish)
    completer.start()

    assert completer.wait_until_written(10)
    assert recorded.committed == {_id(finish): True}


def test_one_that_cannot_be_stored_keeps_no_other_from_it() -> None:
    recorded = Recorded()
    pending = [recorded.finish() for _ in range(3)]
    bad = pending[1]

    def write(successes: Sequence[Success]) -> set[UUID]:
        if any(success is bad.success for success in successes):
            raise ValueError("a NUL")
        return _all_held(successes)

    completer = Completer(write, PostgresRetry())
    for finish in pending:
        completer.hand_over(finish)
    completer.start()

    assert completer.wait_until_written(10)
    assert recorded.committed == {_id(finish): True for finish in pending if finish is not bad}
    assert str(recorded.refused[_id(bad)]) == "a NUL"


def test_what_cannot_be_written_before_the_worker_stops_calls_nothing_back_and_ends_no_thread() -> None:
    def write(_: Sequence[Success]) -> set[UUID]:
        raise PostgresDownError("down")

    recorded, retry = Recorded(), PostgresRetry()
    completer = Completer(write, retry)
    completer.hand_over(recorded.finish())
    completer.start()
    retry.stop()

    eventually(lambda: completer.wait_until_written(0), seconds=10)
    assert recorded.committed == {}
    assert recorded.refused == {}
    assert completer.thread.is_alive()


def test_a_callback_that_raises_keeps_no_other_job_of_its_batch_from_its_end() -> None:
    recorded = Recorded()
    first, broken, last = (recorded.finish() for _ in range(3))

    def fails(_held: bool) -> None:
        raise RuntimeError("a bug")

    completer = Completer(_all_held, PostgresRetry())
    for finish in (first, replace(broken, committed=fails), last):
        completer.hand_over(finish)
    completer.start()

    assert completer.wait_until_written(10)
    assert recorded.committed == {_id(first): True, _id(last): True}
