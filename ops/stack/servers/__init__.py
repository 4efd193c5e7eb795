"""The servers, one a file, all with the same anatomy: prepare, start, ready, stop, kill, settings."""

from ops.stack.home import State
from ops.stack.servers.base import Server
from ops.stack.servers.kafka import Kafka
from ops.stack.servers.mail import Mail
from ops.stack.servers.postgres import Postgres
from ops.stack.servers.rabbitmq import RabbitMQ
from ops.stack.servers.redis import Redis

__all__ = ["Kafka", "Mail", "Postgres", "RabbitMQ", "Redis", "Server", "all_servers"]


def all_servers(state: State) -> tuple[Server, ...]:
    """Return the stack's servers in the order in which they are started."""
    return (Postgres(state), RabbitMQ(state), Kafka(state), Redis(state), Mail(state))
