"""The control: the same kind of jobs as an ordinary Dramatiq application, with the middleware that it has by default.

`python -m dramatiq tests.chaos.plain_dramatiq` runs its workers; RABBITMQ_URL and POSTGRES_CONNINFO say where.
"""

import os
import time

import dramatiq
import psycopg
from dramatiq.brokers.rabbitmq import RabbitmqBroker

TABLES = """
create table plain_attempts (token text not null);
create table plain_effects (token text not null);
grant select, insert on plain_attempts, plain_effects to app;
"""


class NotYetError(Exception):
    """What an attempt raises that is meant to fail."""


if "RABBITMQ_URL" in os.environ:
    dramatiq.set_broker(RabbitmqBroker(url=os.environ["RABBITMQ_URL"]))

    @dramatiq.actor(min_backoff=50, max_backoff=500)
    def do(token: str, seconds: float, failures: int) -> None:
        """Leave an effect, then work for `seconds`; the first `failures` attempts fail before they leave anything."""
        with psycopg.connect(os.environ["POSTGRES_CONNINFO"], autocommit=True) as connection:
            connection.execute("insert into plain_attempts values (%s)", (token,))
            row = connection.execute("select count(*) from plain_attempts where token = %s", (token,)).fetchone()
            if row is not None and row[0] <= failures:
                raise NotYetError
            connection.execute("insert into plain_effects values (%s)", (token,))
        time.sleep(seconds)
