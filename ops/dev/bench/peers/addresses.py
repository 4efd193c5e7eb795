"""Addresses of the benchmark's servers for the peers: the same servers that Money Flow is measured on."""

import os
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from moneyflow.settings import load_all

PROCRASTINATE_DATABASE = "procrastinate"
FASTAPI_DATABASE = "fastapi"
#: In the environment of every process of the benchmark.
AMQP_URL_VARIABLE = "MONEY_FLOW_BENCH_AMQP_URL"


def amqp_url() -> str:
    """Return RabbitMQ's address with the login of a user that may declare queues."""
    return os.environ[AMQP_URL_VARIABLE]


def procrastinate_conninfo() -> str:
    """Return how to connect with Procrastinate's database."""
    conninfo = load_all().conninfo("app", application_name="procrastinate")
    return make_conninfo(conninfo, dbname=PROCRASTINATE_DATABASE)


def fastapi_url() -> str:
    """Return the address of the database of the FastAPI application, for SQLAlchemy."""
    settings = load_all()
    parts = conninfo_to_dict(settings.conninfo("app", application_name="fastapi"))
    login = f"{parts['user']}:{quote(str(parts['password']))}"
    return f"postgresql+psycopg://{login}@{parts['host']}:{parts['port']}/{FASTAPI_DATABASE}"


def secret_key() -> str:
    """Return the key that signs the tokens of the FastAPI application."""
    return os.environ["SECRET_KEY"]
