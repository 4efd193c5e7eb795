"""RabbitMQ consumer: checks messages as it decodes them, fits its prefetch to the jobs, and sends acks in batches.

Builds on a private class of Dramatiq 2.2.1 (`_RabbitmqConsumer`), which is why that version is pinned.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import dramatiq
import pika.exceptions
import structlog
from dramatiq.brokers.rabbitmq import _RabbitmqConsumer
from dramatiq.errors import ConnectionClosed

from moneyflow.platform import failpoints
from moneyflow.platform.brokers import amqp_decoding
from moneyflow.platform.brokers.failed_message import fence_of
from moneyflow.platform.brokers.job_message import RefusedMessageError, decode, priority_of
from moneyflow.platform.brokers.rabbitmq import JOBS_QUEUE
from moneyflow.platform.jobs.contract import PRIORITIES
from workers.intake.acks import Acks
from workers.intake.claim_buffer import ClaimBuffer
from workers.intake.delivery import Delivery, Verdict
from workers.intake.prefetch import Credit, PrefetchPolicy
from workers.intake.refusals import Refusals

log = structlog.get_logger(__name__)

amqp_decoding.install_for_pika()

_ACKED = failpoints.declare("worker.acked")

#: Seconds between two looks at the prefetch policy; also how long the consumer waits for a message.
_FIT_SECONDS = 0.1

#: Dramatiq's actor of each priority: it orders what a worker holds by the actor's priority, not the message's.
ACTORS = {priority: f"priority_{priority}" for priority in PRIORITIES}
#: The message within every `JobMessage`: Dramatiq wants one; all that it reads is on the proxy itself.
_MESSAGE: "dramatiq.Message[Any]" = dramatiq.Message(
    queue_name=JOBS_QUEUE, actor_name="", args=(), kwargs={}, options={}, message_id="", message_timestamp=0
)

CONNECTION_ERRORS = (pika.exceptions.AMQPConnectionError, pika.exceptions.AMQPChannelError, AssertionError)


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What the consumer works with. `give_back` lets other workers have what waits here; it must return at once."""

    buffer: ClaimBuffer
    policy: PrefetchPolicy
    credit: Credit
    give_back: Callable[[], None]
    refusals: Refusals = field(default_factory=Refusals)


class JobsConsumer(_RabbitmqConsumer):
    """A consumer whose deliveries are settled on itself alone, from any thread.

    Delivery tags start at 1 again on every channel: after a reconnect, the ack of a job that started before the drop
    would settle another job's message. So a delivery settles on the consumer that delivered it, or nowhere.
    """

    def __init__(self, broker: Any, queue_name: str, prefetch: int, timeout: int) -> None:
        self._threads = self._prefetch = prefetch // 2  # Dramatiq asks for two messages for each thread.
        super().__init__(broker, queue_name, self._prefetch, timeout)  # type: ignore[no-untyped-call]
        self._intake: Intake = broker.intake
        self._fitted_at = time.monotonic()
        self._acks = Acks()
        self._update_credit()

    def __next__(self) -> "JobMessage | None":
        try:
            self._fit_prefetch()
            method, properties, body = next(self.iterator)
        except StopIteration:
            raise ConnectionClosed(None) from None  # type: ignore[no-untyped-call] # RabbitMQ cancelled the consumer.
        except CONNECTION_ERRORS as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        if method is None:
            self._update_credit()
            return None
        try:
            job_id = decode(body)
        except RefusedMessageError as error:
            self._intake.refusals.add(reason=error.reason, detail=error.detail)
            self.channel.basic_reject(method.delivery_tag, requeue=False)
            return None
        self._acks.delivered(method.delivery_tag)
        self._update_credit()
        delivery = Delivery(
            job_id=job_id,
            priority=priority_of(properties),
            settle=partial(self.settle, method.delivery_tag),
            dead_letter_fence=fence_of(properties.headers),
        )
        self._intake.buffer.arrived(delivery)
        return JobMessage(delivery)

    def ack(self, _: object) -> None:
        """Do nothing: a delivery is settled by its verdict, when its job's end is committed."""

    nack = ack

    def settle(self, tag: int, verdict: Verdict) -> None:
        """Send a verdict to RabbitMQ, together with others that come meanwhile; from any thread."""
        if not self._acks.settled(tag, verdict):
            return
        try:
            self.connection.add_callback_threadsafe(self._gather_acks)
        except CONNECTION_ERRORS:
            # The messages went with the connection: RabbitMQ delivers them again, and the claim finds nothing to do.
            log.info("acks_lost")

    def close(self) -> None:
        """Send the verdicts that are known, and close the connection."""
        with suppress(*CONNECTION_ERRORS):
            self.connection.add_callback_threadsafe(self._send_acks)
        super().close()  # type: ignore[no-untyped-call]

    def _gather_acks(self) -> None:
        self.connection.call_later(self._intake.policy.gather_seconds(), self._send_acks)

    def _send_acks(self) -> None:
        single, all_up_to = self._acks.take()
        for tag, verdict in single:
            if verdict is Verdict.ACK:
                self.channel.basic_ack(tag)
            else:
                self.channel.basic_reject(tag, requeue=verdict is Verdict.REQUEUE)
        if all_up_to is not None:
            self.channel.basic_ack(all_up_to, multiple=True)
        self._update_credit()
        failpoints.reach(_ACKED)

    def _update_credit(self) -> None:
        self._intake.credit.update(self._prefetch - self._acks.unsettled())

    def _fit_prefetch(self) -> None:
        """Ask the policy now and then, and consume with the prefetch that it returns.

        A consumer's prefetch cannot be changed, so it is cancelled and started again; its deliveries stay its own.
        """
        now = time.monotonic()
        if now - self._fitted_at < _FIT_SECONDS:
            return
        self._fitted_at = now
        wanted = self._intake.policy.prefetch()
        if not wanted and self._intake.policy.holds_too_long():
            self._intake.give_back()
        # A prefetch that has no place for each thread is fitted exactly; any other only when it doubles or halves.
        is_alike = self._prefetch / 2 < wanted < self._prefetch * 2 and min(wanted, self._prefetch) >= self._threads
        if wanted == self._prefetch or is_alike:
            return
        if self._prefetch:
            self.channel.cancel()
        if wanted:
            self.channel.basic_qos(prefetch_count=wanted)
            self.iterator = self.channel.consume(self.queue_name, inactivity_timeout=_FIT_SECONDS)
        else:
            self.iterator = self._pause()
        log.debug("prefetch_changed", messages=wanted, before=self._prefetch)
        self._prefetch = wanted
        self._update_credit()

    def _pause(self) -> Iterator[tuple[None, None, None]]:
        """Deliver nothing, and process the connection's data all the same."""
        while True:
            self.connection.process_data_events(time_limit=_FIT_SECONDS / 2)
            yield None, None, None


class JobMessage(dramatiq.MessageProxy):
    """A delivery on its way through Dramatiq's threads."""

    # PERF: what Dramatiq reads of every message is found here itself, and not by way of the message within.
    queue_name = JOBS_QUEUE
    kwargs: Mapping[str, Any] = MappingProxyType({})  # type: ignore[assignment] # nothing is ever put in
    options: Mapping[str, Any] = MappingProxyType({})  # type: ignore[assignment]

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(_MESSAGE)
        self.actor_name = ACTORS[delivery.priority]
        self.args = (delivery,)
        self.message_id = str(delivery.job_id)

    def __str__(self) -> str:
        return f"{self.actor_name}({self.message_id})"
