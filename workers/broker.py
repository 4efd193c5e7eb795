"""Dramatiq on our topology: messages checked where they are decoded, acks that only reach the consumer they came by.

Builds on a private class of Dramatiq 2.2.1 (`_RabbitmqConsumer`), which is why that version is pinned.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
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
from moneyflow.gateways.rabbitmq import HIGHEST_PRIORITY, JOBS_QUEUE, declare_topology
from moneyflow.ids import parse_id
from moneyflow.jobs.base import PRIORITIES

log = structlog.get_logger(__name__)

#: On a dead letter: which failure it tells of, so that it begins the job anew once and not twice.
FENCE_HEADER = "x-fence"

_KIND = re.compile(r"[a-z][a-z0-9_]{1,62}")
_FIELDS = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}
_CONNECTION_ERRORS = (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError, AssertionError)


class Verdict(Enum):
    """What becomes of a message once its job was looked at."""

    KEEP = auto()  #: Neither: RabbitMQ delivers it again when this consumer is gone.
    ACK = auto()
    REJECT = auto()  #: To `jobs_failed`, by the broker itself.


@dataclass(eq=False, kw_only=True)
class Delivery:
    """A message as this process got it; the runtime sets its verdict."""

    job_id: UUID
    priority: int
    #: Of a dead letter that was moved here: the fence of the failure that it tells of.
    letter_fence: int | None = None
    verdict: Verdict = Verdict.KEEP


class JobsBroker(RabbitmqBroker):
    """Dramatiq's broker on the queue `jobs` of our own topology; it consumes and never publishes."""

    def __init__(self, parameters: pika.ConnectionParameters, *, arrived: Callable[[Delivery], None]) -> None:
        super().__init__(middleware=[])
        self.parameters = parameters
        self.arrived = arrived

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
    """A consumer that settles only what it delivered itself.

    Delivery tags start at 1 again on every channel: after a reconnect, the ack of a job that began before the drop
    would settle another job's message.
    """

    def __next__(self) -> "JobMessage | None":
        try:
            method, properties, body = next(self.iterator)
        except _CONNECTION_ERRORS as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if method is None:
            return None
        try:
            delivery = decode(body, priority=properties.priority)
        except PoisonError as error:
            log.warning("message_refused", reason=error.detail, consequence="it is on jobs_failed now")
            self.channel.basic_reject(method.delivery_tag, requeue=False)
            return None
        fence = (properties.headers or {}).get(FENCE_HEADER)
        delivery.letter_fence = fence if isinstance(fence, int) else None
        self.broker.arrived(delivery)
        return JobMessage(delivery, consumer=self, tag=method.delivery_tag)

    def ack(self, message: "JobMessage") -> None:  # type: ignore[override] # it delivers no others
        """Settle the message by its delivery's verdict, when it came by this very consumer."""
        if message.consumer is not self:
            log.info("stale_ack_dropped", job_id=str(message.delivery.job_id))
        elif message.delivery.verdict is Verdict.ACK:
            self._settle(partial(self.channel.basic_ack, message.tag))
        elif message.delivery.verdict is Verdict.REJECT:
            self._settle(partial(self.channel.basic_reject, message.tag, requeue=False))

    nack = ack

    def _settle(self, callback: Callable[[], None]) -> None:
        try:
            self.connection.add_callback_threadsafe(callback)
        except _CONNECTION_ERRORS:
            # The connection is gone and the message with it: it is delivered again, and then has nothing to do.
            log.info("ack_lost_with_its_connection")


class JobMessage(dramatiq.MessageProxy):
    """A decoded message on its way through Dramatiq's threads."""

    def __init__(self, delivery: Delivery, *, consumer: FencedConsumer, tag: int) -> None:
        # Dramatiq orders what a worker holds by the actor's priority, lower first; so there is an actor for each
        # priority, and the message's own one decides.
        super().__init__(
            dramatiq.Message(
                queue_name=JOBS_QUEUE,
                actor_name=_actor_name(delivery.priority),
                args=(delivery,),
                kwargs={},
                options={},
                message_id=str(delivery.job_id),
            )
        )
        self.delivery = delivery
        self.consumer = consumer
        self.tag = tag


def declare_actors(broker: JobsBroker, run: Callable[[Delivery], None]) -> None:
    """Let `run` be what Dramatiq calls for every message, in the order of the messages' priorities."""
    for priority in PRIORITIES:
        dramatiq.Actor(
            run,
            broker=broker,
            actor_name=_actor_name(priority),
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


def _actor_name(priority: int) -> str:
    return f"priority_{priority}"
