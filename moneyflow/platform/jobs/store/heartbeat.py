"""Heartbeats: a worker registers for a number, holds an advisory lock on it, and beats."""

from pathlib import Path

from psycopg import Connection
from psycopg.rows import DictRow

from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The first key of a worker's advisory lock; the second is its number. The view `live_workers` reads both.
LOCK_CLASS = 19782


def register(connection: Connection[DictRow], *, name: str, lease_seconds: float) -> int:
    """Register this worker under a new number, and hold its lock for as long as the connection lives."""
    with connection.transaction():
        connection.execute(_QUERIES["durably"])
        row = connection.execute(_QUERIES["register"], {"name": name, "lease_seconds": lease_seconds}).fetchone()
    assert row is not None
    number: int = row["number"]
    hold_lock(connection, number)
    return number


def hold_lock(connection: Connection[DictRow], number: int) -> bool:
    """Take the lock of a number on this connection, such as after a reconnect, and beat; return as `beat` does."""
    connection.execute(_QUERIES["lock"], {"lock_class": LOCK_CLASS, "number": number})
    return beat(connection, number)


def beat(connection: Connection[DictRow], number: int) -> bool:
    """Record the heartbeat; return False when the number is unknown, so that the worker has to register again."""
    return connection.execute(_QUERIES["beat"], {"number": number}).rowcount == 1
