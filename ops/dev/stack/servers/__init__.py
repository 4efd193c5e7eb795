"""The servers of the stack, one in a file, all with the same methods: prepare, start, ready, stop, kill, settings."""

from ops.dev.stack.home import State
from ops.dev.stack.servers.base import Server
from ops.dev.stack.servers.crm import Crm
from ops.dev.stack.servers.kafka import Kafka
from ops.dev.stack.servers.mail import Mail
from ops.dev.stack.servers.nginx import Nginx
from ops.dev.stack.servers.postgres import Postgres
from ops.dev.stack.servers.rabbitmq import OpenRabbitMQ, RabbitMQ
from ops.dev.stack.servers.redis import Redis

__all__ = ["Crm", "Kafka", "Mail", "Nginx", "OpenRabbitMQ", "Postgres", "RabbitMQ", "Redis", "Server", "all_servers"]


def all_servers(state: State) -> tuple[Server, ...]:
    """Return the stack's servers in the order in which they are started."""
    return (Postgres(state), RabbitMQ(state), Kafka(state), Redis(state), Mail(state), Crm(state), Nginx(state))
