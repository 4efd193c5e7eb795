"""A consumer settles by the verdict, and only what it delivered itself."""

from collections.abc import Callable
from typing import Any

import pika.exceptions
import pytest

from moneyflow.ids import new_id
from workers.broker import Delivery, FencedConsumer, JobMessage, Verdict


class Channel:
    """Remembers what was settled."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, int, bool | None]] = []

    def basic_ack(self, tag: int) -> None:
        self.settled.append(("ack", tag, None))

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


def _consumer(*, gone: bool = False) -> FencedConsumer:
    consumer: FencedConsumer = FencedConsumer.__new__(FencedConsumer)
    consumer.channel, consumer.connection = Channel(), Connection(gone=gone)
    return consumer


def _message(consumer: FencedConsumer, verdict: Verdict) -> JobMessage:
    return JobMessage(Delivery(job_id=new_id(), priority=7, verdict=verdict), consumer=consumer, tag=3)


@pytest.mark.parametrize("settle", ["ack", "nack"])
@pytest.mark.parametrize(
    ("verdict", "settled"),
    [
        (Verdict.ACK, [("ack", 3, None)]),
        (Verdict.REJECT, [("reject", 3, False)]),
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
