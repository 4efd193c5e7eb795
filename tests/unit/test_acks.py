"""A consumer settles by the verdict, only what it delivered itself, and much of it at once."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pika.exceptions
import pytest

from moneyflow.platform.ids import new_id
from workers.intake.acks import Acks, Credit, Verdict
from workers.intake.consumer import FencedConsumer, JobMessage
from workers.intake.delivery import Delivery


class Channel:
    """Remembers what was settled."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, int, bool | None]] = []

    def basic_ack(self, tag: int, *, multiple: bool = False) -> None:
        self.settled.append(("ack", tag, multiple))

    def basic_reject(self, tag: int, *, requeue: bool) -> None:
        self.settled.append(("reject", tag, requeue))


class Connection:
    """Calls back at once, or is gone."""

    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone

    def add_callback_threadsafe(self, callback: Callable[[], Any]) -> None:
        if self.gone:
            raise pika.exceptions.ConnectionWrongStateError("closed")
        callback()

    def call_later(self, _seconds: float, callback: Callable[[], Any]) -> None:
        callback()


def _consumer(*, gone: bool = False) -> FencedConsumer:
    consumer: FencedConsumer = FencedConsumer.__new__(FencedConsumer)
    consumer.channel, consumer.connection = Channel(), Connection(gone=gone)
    consumer.broker = SimpleNamespace(gather_seconds=lambda: 0, credit=Credit())
    consumer._acks, consumer._window = Acks(), 2
    return consumer


def _message(consumer: FencedConsumer, verdict: Verdict) -> JobMessage:
    for tag in (2, 3):  # The one before it is still open.
        consumer._acks.delivered(tag)
    return JobMessage(Delivery(job_id=new_id(), priority=7, verdict=verdict), consumer=consumer, tag=3)


@pytest.mark.parametrize("settle", ["ack", "nack"])
@pytest.mark.parametrize(
    ("verdict", "settled"),
    [
        (Verdict.ACK, [("ack", 3, False)]),
        (Verdict.REJECT, [("reject", 3, False)]),
        (Verdict.GIVE_BACK, [("reject", 3, True)]),
        (Verdict.KEEP, []),
    ],
)
def test_the_verdict_decides_whatever_dramatiq_thinks_of_the_run(
    settle: str, verdict: Verdict, settled: list[object]
) -> None:
    consumer = _consumer()

    getattr(consumer, settle)(_message(consumer, verdict))

    assert consumer.channel.settled == settled


@pytest.mark.parametrize("settle", ["ack", "nack"])
@pytest.mark.parametrize("verdict", Verdict)
def test_another_consumers_message_is_left_alone(settle: str, verdict: Verdict) -> None:
    before, after = _consumer(), _consumer()

    getattr(after, settle)(_message(before, verdict))

    assert after.channel.settled == before.channel.settled == []


def test_an_ack_that_finds_its_connection_gone_is_no_error() -> None:
    consumer = _consumer(gone=True)

    consumer.ack(_message(consumer, Verdict.ACK))

    assert consumer.channel.settled == []


def test_dramatiq_orders_messages_by_their_own_priority_the_highest_first() -> None:
    consumer = _consumer()
    low = JobMessage(Delivery(job_id=new_id(), priority=0), consumer=consumer, tag=1)
    high = JobMessage(Delivery(job_id=new_id(), priority=10), consumer=consumer, tag=2)

    assert (low.actor_name, high.actor_name) == ("priority_0", "priority_10")
    assert high.message_id == str(high.delivery.job_id)


def test_a_log_line_of_dramatiq_about_a_message_names_its_job() -> None:
    message = JobMessage(Delivery(job_id=new_id(), priority=7), consumer=_consumer(), tag=1)

    assert str(message) == f"priority_7({message.delivery.job_id})"


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
    acks.settled(3, Verdict.GIVE_BACK)
    acks.settled(4, Verdict.ACK)

    single, all_up_to = acks.take()

    assert dict(single) == {2: Verdict.REJECT, 3: Verdict.GIVE_BACK}
    assert all_up_to == 4, "sent after those, which are settled by then"


def test_the_first_verdict_on_a_message_stays_sent_or_not() -> None:
    acks = _delivered(3)
    acks.settled(2, Verdict.GIVE_BACK)

    assert not acks.settled(2, Verdict.ACK)
    assert acks.take() == ([(2, Verdict.GIVE_BACK)], None)
    assert not acks.settled(2, Verdict.ACK), "sent alone, behind one that is open"
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


def test_credit_is_spare_once_rabbitmq_could_have_brought_more_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("workers.intake.acks.time.monotonic", lambda: clock[0])
    credit = Credit()
    seen = [credit.is_spare()]
    for seconds, messages in ((0, 0), (0.1, 3), (0.004, 2), (0.002, 1), (0.1, 0), (0.1, 1), (0.006, 1)):
        clock[0] += seconds
        credit.note(messages)
        seen.append(credit.is_spare())

    assert seen == [False, False, False, False, True, False, False, True]


def test_what_was_delivered_uses_credit_up_until_its_verdict_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.intake.acks._CREDIT_SECONDS", -1)
    consumer = _consumer()
    consumer._note_credit()
    assert consumer.broker.credit.is_spare()
    message = _message(consumer, Verdict.ACK)  # With the one before it, the window is full.
    consumer._note_credit()
    assert not consumer.broker.credit.is_spare()

    consumer.ack(message)

    assert consumer.broker.credit.is_spare()


def test_a_delivery_without_a_message_is_settled_by_nobody() -> None:
    consumer = _consumer()
    delivery = Delivery(job_id=new_id(), priority=7, verdict=Verdict.ACK, has_message=False)

    consumer.ack(JobMessage(delivery))

    assert consumer.channel.settled == []
