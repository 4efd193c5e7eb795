"""Heartbeats: a worker registers for a number, holds an advisory lock on it, and beats."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from psycopg import Connection
from psycopg.rows import DictRow

from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The first key of a worker's advisory lock; the second is its number. The view `live_workers` reads both.
LOCK_CLASS = 19782


def register(connection: Connection[DictRow], *, name: str, lease_seconds: float, threads: int | None = None) -> int:
    """Register this worker under a new number, and hold its lock for as long as the connection lives."""
    with connection.transaction():
        connection.execute(_QUERIES["durably"])
        parameters = {"name": name, "lease_seconds": lease_seconds, "threads": threads}
        row = connection.execute(_QUERIES["register"], parameters).fetchone()
    assert row is not None
    number: int = row["number"]
    hold_lock(connection, number)
    return number


def hold_lock(connection: Connection[DictRow], number: int) -> bool:
    """Take the lock of a number on this connection, such as after a reconnect, and beat; return as `beat` does."""
    connection.execute(_QUERIES["lock"], {"lock_class": LOCK_CLASS, "number": number})
    return beat(connection, number)


def beat(connection: Connection[DictRow], number: int, running: Sequence[Mapping[str, Any]] = ()) -> bool:
    """Record the heartbeat, and what the worker runs; return False when the number is unknown.

    Then the worker has to register again.
    """
    parameters = {"number": number, "running": orjson.dumps(list(running)).decode()}
    return connection.execute(_QUERIES["beat"], parameters).rowcount == 1
