"""The window: what a worker holds and has not begun is claimed together, each job once."""

import threading
from collections.abc import Sequence
from uuid import UUID

import pytest

from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.store.claims import Claim
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery


class Ledger:
    """Claims whatever it is asked for, but for what is `gone`, and remembers what it was asked."""

    def __init__(self, *gone: UUID) -> None:
        self.asked: list[list[UUID]] = []
        self.gone = set(gone)

    def __call__(self, ids: Sequence[UUID]) -> list[Claim]:
        self.asked.append(list(ids))
        return [_claim(job_id) for job_id in ids if job_id not in self.gone]


def _claim(job_id: UUID) -> Claim:
    return Claim(
        id=job_id, kind="x", version=1, priority=5, payload={}, attempt=1, max_attempts=3, fence=1,
        correlation_id=None, traceparent=None, wait_seconds=0, time_limit_seconds=60,
    )  # fmt: skip


def _arrive(window: ClaimBuffer, *ids: UUID) -> list[Delivery]:
    deliveries = [Delivery(job_id=job_id, priority=5) for job_id in ids]
    for delivery in deliveries:
        window.arrived(delivery)
    return deliveries


def test_all_that_arrived_is_claimed_by_one_statement() -> None:
    ledger = Ledger()
    window = ClaimBuffer(ledger)
    ids = [new_id() for _ in range(5)]
    deliveries = _arrive(window, *ids)

    claims = [window.take(delivery) for delivery in reversed(deliveries)]

    assert [claim and claim.id for claim in claims] == ids[::-1]
    assert [sorted(asked) for asked in ledger.asked] == [sorted(ids)]


def test_what_arrives_later_is_claimed_by_a_statement_of_its_own() -> None:
    ledger = Ledger()
    window = ClaimBuffer(ledger)
    (first,) = _arrive(window, new_id())
    window.take(first)
    (second,) = _arrive(window, new_id())

    window.take(second)

    assert ledger.asked == [[first.job_id], [second.job_id]]


def test_a_job_that_was_not_there_to_be_claimed_has_no_claim_and_its_neighbour_has() -> None:
    gone, there = new_id(), new_id()
    window = ClaimBuffer(Ledger(gone))
    deliveries = _arrive(window, gone, there)

    claims = [window.take(delivery) for delivery in deliveries]

    assert claims[0] is None
    assert claims[1] is not None


def test_two_deliveries_of_one_job_share_one_claim_and_the_first_gets_it() -> None:
    ledger = Ledger()
    window = ClaimBuffer(ledger)
    job_id = new_id()
    first, second = _arrive(window, job_id, job_id)

    assert window.take(first) is not None
    assert window.take(second) is None
    assert ledger.asked == [[job_id]]


def test_a_claim_is_given_out_once() -> None:
    window = ClaimBuffer(Ledger())
    (delivery,) = _arrive(window, new_id())
    window.take(delivery)

    assert window.take(delivery) is None


def test_a_claim_that_failed_is_made_again() -> None:
    answers = iter([OSError("Postgres is away")])

    def claim_many(ids: Sequence[UUID]) -> list[Claim]:
        for error in answers:
            raise error
        return [_claim(job_id) for job_id in ids]

    window = ClaimBuffer(claim_many)
    (delivery,) = _arrive(window, new_id())
    with pytest.raises(OSError, match="away"):
        window.take(delivery)

    assert window.take(delivery) is not None


def test_what_arrives_while_the_window_is_claimed_is_not_forgotten() -> None:
    late = Delivery(job_id=new_id(), priority=5)
    ledger = Ledger()

    def claim_many(ids: Sequence[UUID]) -> list[Claim]:
        if not ledger.asked:
            window.arrived(late)
        return ledger(ids)

    window = ClaimBuffer(claim_many)
    (early,) = _arrive(window, new_id())
    window.take(early)

    assert window.take(late) is not None
    assert ledger.asked == [[early.job_id], [late.job_id]]


def test_an_emptied_window_returns_what_no_thread_has_begun_and_whoever_comes_to_it_sees_that() -> None:
    window = ClaimBuffer(Ledger())
    taken, claimed = _arrive(window, new_id(), new_id())
    window.take(taken)
    (waiting,) = _arrive(window, new_id())

    unstarted = window.empty()

    assert set(unstarted) == {claimed, waiting}
    assert [claim.id for claim in unstarted.values() if claim] == [claimed.job_id]
    assert [d.is_given_back for d in (taken, claimed, waiting)] == [False, True, True]
    assert window.empty() == {}
    assert window.take(claimed) is None


def test_the_age_of_the_oldest_delivery_that_waits_is_known() -> None:
    window = ClaimBuffer(Ledger())
    assert window.oldest_seconds() == 0
    old, young = _arrive(window, new_id(), new_id())
    old.arrived_at -= 100
    young.arrived_at -= 50

    assert 100 <= window.oldest_seconds() < 110
    window.take(old)
    assert 50 <= window.oldest_seconds() < 60
    window.take(young)
    assert window.oldest_seconds() == 0


def test_many_threads_take_each_claim_once() -> None:
    window = ClaimBuffer(Ledger())
    deliveries = _arrive(window, *[new_id() for _ in range(200)]) * 3
    claims: list[UUID] = []

    def take(part: int) -> None:
        claims.extend(claim.id for d in deliveries[part::4] if (claim := window.take(d)) is not None)

    threads = [threading.Thread(target=take, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(claims) == sorted({d.job_id for d in deliveries})
