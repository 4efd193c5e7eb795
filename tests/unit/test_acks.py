"""A consumer settles by the verdict, only what it delivered itself, and much of it at once."""

from collections.abc import Callable
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any

import pika.exceptions
import pytest

from moneyflow.platform.ids import new_id
from workers.intake.acks import Acks
from workers.intake.consumer import Intake, JobMessage, JobsConsumer
from workers.intake.delivery import Delivery, Verdict
from workers.intake.prefetch import Credit


class Channel:
    """Remembers what was settled."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, int, bool | None]] = []

    def basic_ack(self, tag: int, *, multiple: bool = False) -> None:
        self.settled.append(("ack", tag, multiple))

    def basic_reject(self, tag: int, *, requeue: bool) -> None:
        self.settled.append(("reject", tag, requeue))


class Connection:
    """Calls back at once, or is closed."""

    def __init__(self, *, closed: bool = False) -> None:
        self.closed = closed

    def add_callback_threadsafe(self, callback: Callable[[], Any]) -> None:
        if self.closed:
            raise pika.exceptions.ConnectionWrongStateError("closed")
        callback()

    def call_later(self, _seconds: float, callback: Callable[[], Any]) -> None:
        callback()


def _consumer(*, closed: bool = False) -> JobsConsumer:
    seconds = count()  # A second passes between any two looks at the clock.
    consumer: JobsConsumer = JobsConsumer.__new__(JobsConsumer)
    consumer.channel, consumer.connection = Channel(), Connection(closed=closed)
    policy: Any = SimpleNamespace(gather_seconds=lambda: 0)
    unused: Any = None
    consumer._intake = Intake(
        buffer=unused, policy=policy, credit=Credit(clock=lambda: next(seconds)), give_back=lambda: None
    )
    consumer._acks, consumer._prefetch = Acks(), 2
    return consumer


def _delivery(consumer: JobsConsumer) -> Delivery:
    for tag in (2, 3):  # The one before it is still open.
        consumer._acks.delivered(tag)
    return Delivery(job_id=new_id(), priority=7, settle=partial(consumer.settle, 3))


@pytest.mark.parametrize(
    ("verdict", "settled"),
    [
        (Verdict.ACK, [("ack", 3, False)]),
        (Verdict.REJECT, [("reject", 3, False)]),
        (Verdict.REQUEUE, [("reject", 3, True)]),
    ],
)
def test_the_verdict_decides(verdict: Verdict, settled: list[object]) -> None:
    consumer = _consumer()

    _delivery(consumer).settle(verdict)

    assert consumer.channel.settled == settled


@pytest.mark.parametrize("settle", ["ack", "nack"])
def test_dramatiq_settles_nothing_when_the_run_returns_whatever_it_thinks_of_it(settle: str) -> None:
    consumer = _consumer()
    message = JobMessage(_delivery(consumer))

    getattr(consumer, settle)(message)

    assert consumer.channel.settled == []


@pytest.mark.parametrize("verdict", Verdict)
def test_a_delivery_settles_on_the_consumer_that_delivered_it_and_on_no_other(verdict: Verdict) -> None:
    before, after = _consumer(closed=True), _consumer()
    delivery = _delivery(before)
    _delivery(after)  # A message of the same tag.

    delivery.settle(verdict)

    assert after.channel.settled == before.channel.settled == []


def test_an_ack_whose_connection_is_closed_is_no_error() -> None:
    consumer = _consumer(closed=True)

    _delivery(consumer).settle(Verdict.ACK)

    assert consumer.channel.settled == []


def test_dramatiq_orders_messages_by_their_own_priority_the_highest_first() -> None:
    job_id = new_id()
    low, high = (JobMessage(Delivery(job_id=job_id, priority=priority, settle=lambda _: None)) for priority in (0, 10))

    assert (low.actor_name, high.actor_name) == ("priority_0", "priority_10")
    assert high.message_id == str(job_id)
    assert str(high) == f"priority_10({job_id})", "as Dramatiq's log lines have it"


def _delivered(count: int) -> Acks:
    acks = Acks()
    for tag in range(1, count + 1):
        acks.delivered(tag)
    return acks


def test_all_before_the_first_open_message_is_acked_at_once_and_the_rest_one_by_one() -> None:
    acks = _delivered(6)
    for tag in (2, 1, 3, 5):
        acks.settled(tag, Verdict.ACK)

    assert acks.take() == ([(5, Verdict.ACK)], 3)


def test_what_was_acked_alone_is_acked_no_second_time() -> None:
    acks = _delivered(3)
    acks.settled(2, Verdict.ACK)
    assert acks.take() == ([(2, Verdict.ACK)], None)

    acks.settled(1, Verdict.ACK)
    assert acks.take() == ([], 1)
    acks.settled(3, Verdict.ACK)
    assert acks.take() == ([], 3)


def test_no_ack_for_many_swallows_another_verdict() -> None:
    acks = _delivered(4)
    acks.settled(1, Verdict.ACK)
    acks.settled(2, Verdict.REJECT)
    acks.settled(3, Verdict.REQUEUE)
    acks.settled(4, Verdict.ACK)

    single, all_up_to = acks.take()

    assert dict(single) == {2: Verdict.REJECT, 3: Verdict.REQUEUE}
    assert all_up_to == 4, "sent after those, which are settled by then"


def test_the_first_verdict_on_a_message_stays_sent_or_not() -> None:
    acks = _delivered(3)
    acks.settled(2, Verdict.REQUEUE)

    assert not acks.settled(2, Verdict.ACK)
    assert acks.take() == ([(2, Verdict.REQUEUE)], None)
    assert not acks.settled(2, Verdict.ACK), "sent alone, after one that is open"
    assert acks.settled(1, Verdict.ACK)
    assert acks.take() == ([], 1)
    assert not acks.settled(1, Verdict.REJECT), "sent with all before it"
    assert not acks.settled(2, Verdict.ACK)
    assert acks.take() == ([], None)
    assert acks.settled(3, Verdict.ACK)
    assert acks.take() == ([], 3)


def test_the_sender_is_called_once_for_what_gathers() -> None:
    acks = _delivered(3)

    assert [acks.settled(tag, Verdict.ACK) for tag in (1, 2)] == [True, False]
    acks.take()
    assert acks.settled(3, Verdict.ACK)
    assert acks.take() == ([], 3)
    assert acks.take() == ([], None)


def test_credit_is_spare_once_rabbitmq_could_have_delivered_more_for_a_moment() -> None:
    clock = [100.0]
    credit = Credit(clock=lambda: clock[0])
    seen = [credit.is_spare()]
    for seconds, messages in ((0, 0), (0.1, 3), (0.004, 2), (0.002, 1), (0.1, 0), (0.1, 1), (0.006, 1)):
        clock[0] += seconds
        credit.update(messages)
        seen.append(credit.is_spare())

    assert seen == [False, False, False, False, True, False, False, True]


def test_a_delivery_uses_credit_up_until_its_verdict_is_sent() -> None:
    consumer = _consumer()
    consumer._update_credit()
    assert consumer._intake.credit.is_spare()
    delivery = _delivery(consumer)  # With the one before it, the prefetch is used up.
    consumer._update_credit()
    assert not consumer._intake.credit.is_spare()

    delivery.settle(Verdict.ACK)

    assert consumer._intake.credit.is_spare()
