"""Dramatiq on our topology: messages checked where they are decoded, a window that fits the jobs, acks in batches.

Builds on a private class of Dramatiq 2.2.1 (`_RabbitmqConsumer`), which is why that version is pinned.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, NoReturn
from uuid import UUID

import dramatiq
import orjson
import pika
import pika.exceptions
import structlog
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed

from moneyflow.errors import PoisonError
from moneyflow.failpoints import reach
from moneyflow.gateways.rabbitmq import HIGHEST_PRIORITY, JOBS_QUEUE, declare_topology
from moneyflow.ids import parse_id
from moneyflow.jobs.base import PRIORITIES
from workers.acks import Acks, Credit, Verdict

log = structlog.get_logger(__name__)

#: The window is looked at so often.
_LOOK_SECONDS = 0.1

#: On a dead letter: which failure it tells of, so that it begins the job anew once and not twice.
FENCE_HEADER = "x-fence"

_ACTORS = {priority: f"priority_{priority}" for priority in PRIORITIES}
#: Behind every `JobMessage`, for Dramatiq wants a message there; all that it asks for is on the proxy itself.
_BEHIND: "dramatiq.Message[Any]" = dramatiq.Message(
    queue_name=JOBS_QUEUE, actor_name="", args=(), kwargs={}, options={}, message_id="", message_timestamp=0
)

_KIND = re.compile(r"[a-z][a-z0-9_]{1,62}")
_FIELDS = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
_CONNECTION_ERRORS = (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError, AssertionError)


def _unsettled(_: Verdict) -> None:
    """Settle nothing: for a delivery that came by no consumer."""


@dataclass(eq=False, kw_only=True)
class Delivery:
    """A message as this process got it; the runtime sets its verdict, or settles it later itself."""

    job_id: UUID
    priority: int
    #: Of a dead letter that was moved here: the fence of the failure that it tells of.
    letter_fence: int | None = None
    verdict: Verdict = Verdict.KEEP
    #: Settles the message on the consumer that it came by, from any thread, whenever that is.
    settle: Callable[[Verdict], None] = _unsettled
    arrived_at: float = field(default_factory=time.monotonic)
    #: It has gone back to RabbitMQ before a thread came to it.
    is_given_back: bool = False
    #: Not when the job was taken by its name: then there is nothing to settle.
    has_message: bool = True


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
        raise RuntimeError("use moneyflow.outbox.enqueue: only the relay publishes")


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
            delivery = decode(body, priority=properties.priority)
        except PoisonError as error:
            log.warning("message_refused", reason=error.detail, consequence="it is on jobs_failed now")
            self.channel.basic_reject(method.delivery_tag, requeue=False)
            return None
        fence = (properties.headers or {}).get(FENCE_HEADER)
        delivery.letter_fence = fence if isinstance(fence, int) else None
        delivery.settle = partial(self.settle, method.delivery_tag)
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


def encode(job_id: UUID, kind: str, *, timestamp_milliseconds: int) -> bytes:
    """Write the message of a job: Dramatiq's JSON, whose only argument is the job's id."""
    return orjson.dumps(
        {
            "queue_name": JOBS_QUEUE,
            "actor_name": kind,
            "args": [str(job_id)],
            "kwargs": {},
            "options": {},
            "message_id": str(job_id),
            "message_timestamp": timestamp_milliseconds,
        }
    )


def decode(body: bytes, *, priority: int | None) -> Delivery:
    """Read a message and trust nothing in it but the job's id.

    Raises:
        PoisonError: when it is not a message as `encode` writes it; anything more that Dramatiq would obey (options,
            another queue, an actor that is no name) could stop a thread or block the queue.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PoisonError(f"the body is not JSON: {error}") from error
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        raise PoisonError(f"the body is not an object with exactly the fields {', '.join(sorted(_FIELDS))}")
    return Delivery(job_id=_job_id(fields), priority=min(max(priority or 0, 0), HIGHEST_PRIORITY))


def _job_id(fields: dict[str, Any]) -> UUID:
    kind, args = fields["actor_name"], fields["args"]
    if fields["queue_name"] != JOBS_QUEUE or fields["options"] != {} or fields["kwargs"] != {}:
        raise PoisonError(f"queue_name must be {JOBS_QUEUE!r}, options and kwargs must be empty")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise PoisonError("actor_name is not the name of a job")
    job_id = parse_id(args[0]) if isinstance(args, list) and len(args) == 1 and isinstance(args[0], str) else None
    if job_id is None:
        raise PoisonError("args must hold the job's id and nothing else")
    return job_id
