"""Addresses of the benchmark's servers for the peers: the same servers that Money Flow is measured on."""

from psycopg.conninfo import make_conninfo

from moneyflow.platform import settings as settings_module

PROCRASTINATE_DATABASE = "procrastinate"


def amqp_url() -> str:
    """Return RabbitMQ's address with its login."""
    settings = settings_module.load()
    login = f"{settings.rabbitmq_user}:{settings.rabbitmq_password.get_secret_value()}"
    return f"amqp://{login}@{settings.rabbitmq_host}:{settings.rabbitmq_port}/{settings.rabbitmq_vhost}"


def procrastinate_conninfo() -> str:
    """Return how to connect with Procrastinate's database."""
    conninfo = settings_module.load().conninfo("app", application_name="procrastinate")
    return make_conninfo(conninfo, dbname=PROCRASTINATE_DATABASE)
