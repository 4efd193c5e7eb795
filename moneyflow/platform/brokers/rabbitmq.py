"""RabbitMQ: connection parameters, and the declaration of the topology."""

from typing import Protocol

import pika

from moneyflow.platform.settings import RabbitmqSettings

#: The only exchange that the relay publishes jobs to, with the queue's name as routing key.
JOBS_EXCHANGE = "jobs"
JOBS_QUEUE = "jobs"
DEAD_EXCHANGE = "jobs.dead"
FAILED_QUEUE = "jobs_failed"
HIGHEST_PRIORITY = 10


def connection_parameters(settings: RabbitmqSettings, *, name: str) -> pika.ConnectionParameters:
    """Return the connection parameters; RabbitMQ lists the connection under `name`."""
    return pika.ConnectionParameters(
        host=settings.rabbitmq_host,
        port=settings.rabbitmq_port,
        virtual_host=settings.rabbitmq_vhost,
        credentials=pika.PlainCredentials(settings.rabbitmq_user, settings.rabbitmq_password.get_secret_value()),
        heartbeat=15,  # RabbitMQ closes the connection of a frozen process after two missed heartbeats.
        # Without it pika blocks for as long as a memory alarm lasts.
        blocked_connection_timeout=60,
        socket_timeout=5,
        stack_timeout=10,
        client_properties={"connection_name": name},
    )


class _Channel(Protocol):
    def exchange_declare(self, exchange: str, exchange_type: str, *, durable: bool) -> object: ...
    def queue_declare(self, queue: str, *, durable: bool, arguments: dict[str, object]) -> object: ...
    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> object: ...


def declare_topology(channel: _Channel) -> None:
    """Declare exchanges, queues and bindings; idempotent.

    Priorities need a classic queue, whose dead-lettering is at most once. That is enough: only poison messages are
    dead-lettered by the broker, and all jobs are in Postgres.
    """
    channel.exchange_declare(DEAD_EXCHANGE, "fanout", durable=True)
    channel.queue_declare(FAILED_QUEUE, durable=True, arguments={})
    channel.queue_bind(FAILED_QUEUE, DEAD_EXCHANGE, "")
    channel.exchange_declare(JOBS_EXCHANGE, "direct", durable=True)
    channel.queue_declare(
        JOBS_QUEUE,
        durable=True,
        arguments={
            "x-max-priority": HIGHEST_PRIORITY,
            "x-dead-letter-exchange": DEAD_EXCHANGE,
        },
    )
    channel.queue_bind(JOBS_QUEUE, JOBS_EXCHANGE, JOBS_QUEUE)
