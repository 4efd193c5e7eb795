"""Claim buffer: what no thread has started is claimed together, each job once."""

import threading
from collections.abc import Sequence
from uuid import UUID

import pytest

from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store.claims import Claim
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery, Verdict


class Store:
    """Claims what it is asked for, except what is `taken`, and remembers what it was asked."""

    def __init__(self, *taken: UUID) -> None:
        self.asked: list[list[UUID]] = []
        self.taken = set(taken)

    def __call__(self, ids: Sequence[UUID]) -> list[Claim]:
        self.asked.append(list(ids))
        return [_claim(job_id) for job_id in ids if job_id not in self.taken]


def _claim(job_id: UUID) -> Claim:
    return Claim(
        id=job_id, kind="x", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=1,
        correlation_id=None, traceparent=None, wait_seconds=0, time_limit_seconds=60,
    )  # fmt: skip


_VERDICTS: dict[Delivery, Verdict] = {}


@pytest.fixture(autouse=True)
def _no_verdicts() -> None:
    _VERDICTS.clear()


def _delivery(job_id: UUID, *, is_best_effort: bool = False) -> Delivery:
    def settle(verdict: Verdict) -> None:
        _VERDICTS[delivery] = verdict

    delivery = Delivery(job_id=job_id, priority=5, settle=settle, is_best_effort=is_best_effort)
    return delivery


def _arrive(buffer: ClaimBuffer, *ids: UUID, is_best_effort: bool = False) -> list[Delivery]:
    deliveries = [_delivery(job_id, is_best_effort=is_best_effort) for job_id in ids]
    for delivery in deliveries:
        buffer.arrived(delivery)
    return deliveries


def test_all_that_arrived_is_claimed_by_one_statement() -> None:
    store = Store()
    buffer = ClaimBuffer(store)
    ids = [new_id() for _ in range(5)]
    deliveries = _arrive(buffer, *ids)

    claims = [buffer.take(delivery) for delivery in reversed(deliveries)]

    assert [claim and claim.id for claim in claims] == ids[::-1]
    assert [sorted(asked) for asked in store.asked] == [sorted(ids)]


def test_what_arrives_later_is_claimed_by_a_statement_of_its_own() -> None:
    store = Store()
    buffer = ClaimBuffer(store)
    (first,) = _arrive(buffer, new_id())
    buffer.take(first)
    (second,) = _arrive(buffer, new_id())

    buffer.take(second)

    assert store.asked == [[first.job_id], [second.job_id]]


def test_a_job_that_was_not_there_to_be_claimed_has_no_claim_and_its_neighbour_has() -> None:
    taken, there = new_id(), new_id()
    buffer = ClaimBuffer(Store(taken))
    deliveries = _arrive(buffer, taken, there)

    claims = [buffer.take(delivery) for delivery in deliveries]

    assert claims[0] is None
    assert claims[1] is not None


def test_two_deliveries_of_one_job_share_one_claim_and_the_first_gets_it() -> None:
    store = Store()
    buffer = ClaimBuffer(store)
    job_id = new_id()
    first, second = _arrive(buffer, job_id, job_id)

    assert buffer.take(first) is not None
    assert buffer.take(second) is None
    assert store.asked == [[job_id]]


def test_a_claim_is_given_out_once() -> None:
    buffer = ClaimBuffer(Store())
    (delivery,) = _arrive(buffer, new_id())
    buffer.take(delivery)

    assert buffer.take(delivery) is None


def test_a_claim_that_failed_is_made_again() -> None:
    answers = iter([OSError("Postgres is down")])

    def claim_many(ids: Sequence[UUID]) -> list[Claim]:
        for error in answers:
            raise error
        return [_claim(job_id) for job_id in ids]

    buffer = ClaimBuffer(claim_many)
    (delivery,) = _arrive(buffer, new_id())
    with pytest.raises(OSError, match="down"):
        buffer.take(delivery)

    assert buffer.take(delivery) is not None


def test_what_arrives_while_the_buffer_is_claimed_is_not_forgotten() -> None:
    late = _delivery(new_id())
    store = Store()

    def claim_many(ids: Sequence[UUID]) -> list[Claim]:
        if not store.asked:
            buffer.arrived(late)
        return store(ids)

    buffer = ClaimBuffer(claim_many)
    (early,) = _arrive(buffer, new_id())
    buffer.take(early)

    assert buffer.take(late) is not None
    assert store.asked == [[early.job_id], [late.job_id]]


def test_a_buffer_that_is_released_requeues_what_has_no_claim_and_returns_the_claims() -> None:
    buffer = ClaimBuffer(Store())
    taken, claimed = _arrive(buffer, new_id(), new_id())
    buffer.take(taken)
    (waiting,) = _arrive(buffer, new_id())

    deliveries, claims = buffer.give_back()

    assert deliveries == [claimed]
    assert [claim.id for claim in claims] == [claimed.job_id]
    assert [delivery.is_settled for delivery in (taken, claimed, waiting)] == [False, True, True]
    assert {waiting: Verdict.REQUEUE} == _VERDICTS
    assert buffer.give_back() == ([], [])
    assert buffer.take(claimed) is None


def test_a_wait_for_room_ends_when_a_thread_takes_a_delivery_or_is_idle_and_not_before() -> None:
    buffer = ClaimBuffer(Store())
    first, second = _arrive(buffer, new_id(), new_id())

    with buffer.in_hand(first):
        buffer.take(first)
        taken = buffer.wait_until_freed(0)
    ended = buffer.wait_until_freed(0)  # Its thread takes the second one next: there is no more room than before.
    with buffer.in_hand(second):
        buffer.take(second)
        buffer.wait_until_freed(0)
    idle = buffer.wait_until_freed(0)

    assert (taken, ended, idle) == (True, False, True)


def test_best_effort_deliveries_and_busy_threads_are_counted() -> None:
    buffer = ClaimBuffer(Store())
    _arrive(buffer, new_id())
    ready, _ = _arrive(buffer, new_id(), new_id(), is_best_effort=True)
    before = (buffer.unstarted(), buffer.busy(), buffer.best_effort())

    with buffer.in_hand(ready):
        buffer.take(ready)
        within = (buffer.unstarted(), buffer.busy(), buffer.best_effort())

    assert before == (3, 0, (2, 0))
    assert within == (2, 1, (1, 1))
    assert (buffer.unstarted(), buffer.busy(), buffer.best_effort()) == (2, 0, (1, 0))


def test_the_age_of_the_oldest_delivery_that_waits_is_known() -> None:
    buffer = ClaimBuffer(Store())
    assert buffer.oldest_seconds() == 0
    old, young = _arrive(buffer, new_id(), new_id())
    old.arrived_at -= 100
    young.arrived_at -= 50

    assert 100 <= buffer.oldest_seconds() < 110
    buffer.take(old)
    assert 50 <= buffer.oldest_seconds() < 60
    buffer.take(young)
    assert buffer.oldest_seconds() == 0


def test_many_threads_take_each_claim_once() -> None:
    buffer = ClaimBuffer(Store())
    deliveries = _arrive(buffer, *[new_id() for _ in range(200)]) * 3
    claims: list[UUID] = []

    def take(part: int) -> None:
        claims.extend(claim.id for d in deliveries[part::4] if (claim := buffer.take(d)) is not None)

    threads = [threading.Thread(target=take, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(claims) == sorted({d.job_id for d in deliveries})


def test_only_a_later_message_of_a_job_in_hand_is_a_duplicate() -> None:
    buffer = ClaimBuffer(Store())
    job_id = new_id()
    by_its_id, first, second, other = (
        _delivery(job_id, is_best_effort=True), _delivery(job_id), _delivery(job_id), _delivery(new_id())
    )  # fmt: skip

    with buffer.in_hand(by_its_id):
        assert not buffer.is_duplicate(first), "a best-effort delivery leaves the job to the message"
        with buffer.in_hand(first), buffer.in_hand(second):
            assert [buffer.is_duplicate(one) for one in (first, second, other)] == [False, True, False]
    assert not buffer.is_duplicate(second)
