"""RabbitMQ: connection parameters, and the declaration of the topology.

The migration alone declares it, and RabbitMQ itself when it starts (`ops/docker/rabbitmq/definitions.json.template`).
No other process may: the relay writes to the exchanges, workers read `jobs`, operators read `jobs_failed`.
"""

import ssl
from typing import Protocol

import pika

from moneyflow.platform.settings import RabbitmqSettings

#: The only exchange that the relay publishes jobs to, with the queue's name as routing key.
JOBS_EXCHANGE = "jobs"
JOBS_QUEUE = "jobs"
DEAD_EXCHANGE = "jobs.dead"
FAILED_QUEUE = "jobs_failed"
HIGHEST_PRIORITY = 10


def connection_parameters(settings: RabbitmqSettings, *, login: str, name: str) -> pika.ConnectionParameters:
    """Return the connection parameters of one of the process's logins; RabbitMQ lists the connection under `name`."""
    tls = ssl.create_default_context(cafile=settings.ca_file) if settings.rabbitmq_tls else None
    return pika.ConnectionParameters(
        host=settings.rabbitmq_host,
        port=settings.rabbitmq_port,
        virtual_host=settings.rabbitmq_vhost,
        credentials=pika.PlainCredentials(*settings.rabbitmq_login(login)),
        ssl_options=pika.SSLOptions(tls, settings.rabbitmq_host) if tls else None,
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
