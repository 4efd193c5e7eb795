"""Addresses of the benchmark's servers for the peers: the same servers that Money Flow is measured on."""

import os

from psycopg.conninfo import make_conninfo

from moneyflow.settings import load_all

PROCRASTINATE_DATABASE = "procrastinate"
#: In the environment of every process of the benchmark.
AMQP_URL_VARIABLE = "MONEY_FLOW_BENCH_AMQP_URL"


def amqp_url() -> str:
    """Return RabbitMQ's address with the login of a user that may declare queues."""
    return os.environ[AMQP_URL_VARIABLE]


def procrastinate_conninfo() -> str:
    """Return how to connect with Procrastinate's database."""
    conninfo = load_all().conninfo("app", application_name="procrastinate")
    return make_conninfo(conninfo, dbname=PROCRASTINATE_DATABASE)
