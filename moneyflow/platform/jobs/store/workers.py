"""A worker proves that it lives: a number, a session lock on that number, and a heartbeat."""

from pathlib import Path

from psycopg import Connection
from psycopg.rows import DictRow

from moneyflow.platform.database import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The first key of a worker's advisory lock, the second is its number; the view `live_workers` knows it too.
LOCK_CLASS = 19782


def register(connection: Connection[DictRow], *, name: str, lease_seconds: float) -> int:
    """Give this process a number and hold its lock for as long as the connection lives."""
    with connection.transaction():
        connection.execute(_QUERIES["durably"])
        row = connection.execute(_QUERIES["register"], {"name": name, "lease_seconds": lease_seconds}).fetchone()
    assert row is not None
    number: int = row["number"]
    hold(connection, number)
    return number


def hold(connection: Connection[DictRow], number: int) -> bool:
    """Hold the lock of a number on this connection, anew after the one before broke, and beat at once."""
    connection.execute(_QUERIES["lock"], {"lock_class": LOCK_CLASS, "number": number})
    return beat(connection, number)


def beat(connection: Connection[DictRow], number: int) -> bool:
    """Say that this process still moves; False when nobody knows the number, and a new one must be had."""
    return connection.execute(_QUERIES["beat"], {"number": number}).rowcount == 1
