"""Dramatiq's broker on our own topology: it consumes the queue `jobs`, and never publishes."""

from collections.abc import Callable
from typing import NoReturn

import dramatiq
import pika
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.errors import ConnectionClosed

from moneyflow.platform.brokers.rabbitmq import HIGHEST_PRIORITY, JOBS_QUEUE
from moneyflow.platform.jobs.contract import PRIORITIES
from workers.intake.consumer import ACTORS, CONNECTION_ERRORS, Intake, JobsConsumer
from workers.intake.delivery import Delivery


class JobsBroker(RabbitmqBroker):
    """Makes the consumer of the queue `jobs`; declares no delay queue and no `.XQ`."""

    def __init__(self, parameters: pika.ConnectionParameters, intake: Intake) -> None:
        super().__init__(middleware=[])
        self.parameters = parameters
        self.intake = intake

    @property
    def consumer_class(self) -> type[JobsConsumer]:
        """Return the consumer that fences its acks."""
        return JobsConsumer

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Look for the queue, which the migration has declared."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)
        if ensure:
            self._ensure_queue(queue_name)

    def _ensure_queue(self, _: str) -> None:
        # Each time a consumer starts: the queue may have been deleted meanwhile, and the migration declares it again.
        try:
            self.channel.queue_declare(JOBS_QUEUE, passive=True)
        except CONNECTION_ERRORS as error:
            del self.connection
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        del self.connection

    def enqueue(self, *_: object, **__: object) -> NoReturn:
        """Refuse: a job is enqueued in Postgres, and only the relay publishes."""
        raise RuntimeError("use moneyflow.platform.jobs.enqueue: only the relay publishes")


def declare_actors(broker: JobsBroker, run: Callable[[Delivery], None]) -> None:
    """Have Dramatiq's threads call `run` for every delivery, in the order of the deliveries' priorities."""
    for priority in PRIORITIES:
        dramatiq.Actor(
            run,
            broker=broker,
            actor_name=ACTORS[priority],
            queue_name=JOBS_QUEUE,
            priority=HIGHEST_PRIORITY - priority,
            options={},
        )
