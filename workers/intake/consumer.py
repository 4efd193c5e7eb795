"""Dramatiq on our topology: messages checked where they are decoded, a window that fits the jobs, acks in batches.

Builds on a private class of Dramatiq 2.2.1 (`_RabbitmqConsumer`), which is why that version is pinned.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, NoReturn

import dramatiq
import pika
import pika.exceptions
import structlog
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed

from moneyflow.platform.brokers.job_message import decode, fence_of, priority_of
from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY, JOBS_QUEUE, declare_topology
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.failpoints import reach
from moneyflow.platform.jobs.contract import PRIORITIES
from workers.intake.acks import Acks, Credit, Verdict
from workers.intake.delivery import Delivery

log = structlog.get_logger(__name__)

#: The window is looked at so often.
_LOOK_SECONDS = 0.1

_ACTORS = {priority: f"priority_{priority}" for priority in PRIORITIES}
#: Behind every `JobMessage`, for Dramatiq wants a message there; all that it asks for is on the proxy itself.
_BEHIND: "dramatiq.Message[Any]" = dramatiq.Message(
    queue_name=JOBS_QUEUE, actor_name="", args=(), kwargs={}, options={}, message_id="", message_timestamp=0
)

_CONNECTION_ERRORS = (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError, AssertionError)


class JobsBroker(RabbitmqBroker):
    """Dramatiq's broker on the queue `jobs` of our own topology; it consumes and never publishes."""

    def __init__(
        self,
        parameters: pika.ConnectionParameters,
        *,
        arrived: Callable[[Delivery], None],
        wanted_window: Callable[[], int],
        hoards: Callable[[], bool],
        gather_seconds: Callable[[], float],
        give_back: Callable[[], None],
        credit: Credit,
    ) -> None:
        super().__init__(middleware=[])
        self.parameters = parameters
        self.arrived = arrived
        self.wanted_window = wanted_window
        self.hoards = hoards
        self.gather_seconds = gather_seconds
        self.give_back = give_back
        self.credit = credit

    @property
    def consumer_class(self) -> type["FencedConsumer"]:
        """Return the consumer that fences its acks."""
        return FencedConsumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare the topology of contracts; there are no delay queues and no `.XQ`."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _ensure_queue(self, _: str) -> None:
        # Each time a consumer starts, for the queue may have been deleted behind our back.
        try:
            declare_topology(self.channel)
        except _CONNECTION_ERRORS as error:
            del self.connection
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        del self.connection

    def enqueue(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a job is enqueued in Postgres, and only the relay publishes."""
        raise RuntimeError("use moneyflow.platform.jobs.enqueue: only the relay publishes")


class FencedConsumer(_RabbitmqConsumer):
    """A consumer that settles only what it delivered itself, and takes as many messages as fit its jobs.

    Delivery tags start at 1 again on every channel: after a reconnect, the ack of a job that began before the drop
    would settle another job's message.
    """

    def __init__(self, broker: JobsBroker, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout)  # type: ignore[no-untyped-call]
        self._window = prefetch
        self._threads = prefetch // 2  # As Dramatiq has it.
        self._looked_at = time.monotonic()
        self._acks = Acks()
        self._note_credit()

    def __next__(self) -> "JobMessage | None":
        try:
            self._fit_window()
            method, properties, body = next(self.iterator)
        except StopIteration:
            raise ConnectionClosed(None) from None  # type: ignore[no-untyped-call] # RabbitMQ cancelled the consumer.
        except _CONNECTION_ERRORS as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if method is None:
            self._note_credit()
            return None
        try:
            job_id = decode(body)
        except PoisonError as error:
            log.warning("message_refused", reason=error.detail, consequence="it is on jobs_failed now")
            self.channel.basic_reject(method.delivery_tag, requeue=False)
            return None
        delivery = Delivery(
            job_id=job_id,
            priority=priority_of(properties),
            letter_fence=fence_of(properties.headers),
            settle=partial(self.settle, method.delivery_tag),
        )
        self._acks.delivered(method.delivery_tag)
        self._note_credit()
        self.broker.arrived(delivery)
        return JobMessage(delivery, consumer=self, tag=method.delivery_tag)

    def ack(self, message: "JobMessage") -> None:  # type: ignore[override] # it delivers no others
        """Settle the message by its delivery's verdict, when it came by this very consumer."""
        if not message.delivery.has_message:
            return
        if message.consumer is not self:
            log.info("stale_ack_dropped", job_id=str(message.delivery.job_id))
        else:
            self.settle(message.tag, message.delivery.verdict)

    nack = ack

    def settle(self, tag: int, verdict: Verdict) -> None:
        """Let RabbitMQ know of a verdict, together with others that come meanwhile; from any thread."""
        if verdict is Verdict.KEEP or not self._acks.settled(tag, verdict):
            return
        try:
            self.connection.add_callback_threadsafe(self._gather_acks)
        except _CONNECTION_ERRORS:
            # The connection is gone and the messages with it: they are delivered again, and then have nothing to do.
            log.info("acks_lost_with_their_connection")

    def close(self) -> None:
        """Send the verdicts that are known, and end the connection."""
        with suppress(*_CONNECTION_ERRORS):
            self.connection.add_callback_threadsafe(self._send_acks)
        super().close()  # type: ignore[no-untyped-call]

    def _gather_acks(self) -> None:
        self.connection.call_later(self.broker.gather_seconds(), self._send_acks)

    def _send_acks(self) -> None:
        single, all_up_to = self._acks.take()
        for tag, verdict in single:
            if verdict is Verdict.ACK:
                self.channel.basic_ack(tag)
            else:
                self.channel.basic_reject(tag, requeue=verdict is Verdict.GIVE_BACK)
        if all_up_to is not None:
            self.channel.basic_ack(all_up_to, multiple=True)
        self._note_credit()
        reach("worker.acked")

    def _note_credit(self) -> None:
        self.broker.credit.note(self._window - self._acks.unsettled())

    def _fit_window(self) -> None:
        """Take more messages ahead while jobs are quick, none while they are slow; looked at now and then.

        A consumer's limit cannot be changed, so it is cancelled and begun anew; what it delivered stays its own.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        wanted = self.broker.wanted_window()
        if not wanted and self.broker.hoards():
            self.broker.give_back()
        # In a window that has no place for each thread, each place counts.
        is_alike = self._window / 2 < wanted < self._window * 2 and min(wanted, self._window) >= self._threads
        if wanted == self._window or is_alike:
            return
        if self._window:
            self.channel.cancel()
        if wanted:
            self.channel.basic_qos(prefetch_count=wanted)
            self.iterator = self.channel.consume(self.queue_name, inactivity_timeout=_LOOK_SECONDS)
        else:
            self.iterator = self._pause()
        log.debug("window_fitted", messages=wanted, before=self._window)
        self._window = wanted
        self._note_credit()

    def _pause(self) -> Iterator[tuple[None, None, None]]:
        """Take nothing, and look after the connection all the same."""
        while True:
            self.connection.process_data_events(time_limit=_LOOK_SECONDS / 2)
            yield None, None, None


class JobMessage(dramatiq.MessageProxy):
    """A decoded message on its way through Dramatiq's threads."""

    # PERF: what Dramatiq reads of every message is found here itself, and not by way of the message behind it.
    queue_name = JOBS_QUEUE
    kwargs: Mapping[str, Any] = MappingProxyType({})  # type: ignore[assignment] # nothing is ever put in
    options: Mapping[str, Any] = MappingProxyType({})  # type: ignore[assignment]

    def __init__(self, delivery: Delivery, *, consumer: FencedConsumer | None = None, tag: int = 0) -> None:
        # Dramatiq orders what a worker holds by the actor's priority, lower first; so there is an actor for each
        # priority, and the message's own one decides.
        super().__init__(_BEHIND)
        self.actor_name = _ACTORS[delivery.priority]
        self.args = (delivery,)
        self.message_id = str(delivery.job_id)
        self.delivery = delivery
        self.consumer = consumer
        self.tag = tag

    def __str__(self) -> str:
        return f"{self.actor_name}({self.message_id})"


def declare_actors(broker: JobsBroker, run: Callable[[Delivery], None]) -> None:
    """Let `run` be what Dramatiq calls for every message, in the order of the messages' priorities."""
    for priority in PRIORITIES:
        dramatiq.Actor(
            run,
            broker=broker,
            actor_name=_ACTORS[priority],
            queue_name=JOBS_QUEUE,
            priority=HIGHEST_PRIORITY - priority,
            options={},
        )
