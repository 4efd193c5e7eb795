"""Addresses of the benchmark's servers for the peers: the same servers that Money Flow is measured on."""

from psycopg.conninfo import make_conninfo

from moneyflow.settings import load_all

PROCRASTINATE_DATABASE = "procrastinate"


def amqp_url() -> str:
    """Return RabbitMQ's address with its login."""
    settings = load_all()
    login = f"{settings.rabbitmq_user}:{settings.rabbitmq_password.get_secret_value()}"
    return f"amqp://{login}@{settings.rabbitmq_host}:{settings.rabbitmq_port}/{settings.rabbitmq_vhost}"


def procrastinate_conninfo() -> str:
    """Return how to connect with Procrastinate's database."""
    conninfo = load_all().conninfo("app", application_name="procrastinate")
    return make_conninfo(conninfo, dbname=PROCRASTINATE_DATABASE)
