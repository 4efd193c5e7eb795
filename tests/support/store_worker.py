"""Workers as the job store sees them: a connection with its lock and its heartbeat, and no process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.jobs.store import heartbeat
from moneyflow.settings import AllSettings


@dataclass(frozen=True)
class StoreWorker:
    """A worker that does nothing by itself."""

    connection: Connection[DictRow]
    number: int
    name: str


@contextmanager
def store_worker(settings: AllSettings, name: str = "worker", *, lease_seconds: float = 60) -> Iterator[StoreWorker]:
    """Register a worker that lives until the end of the block, or until its connection is closed."""
    conninfo = settings.conninfo("worker", application_name="test worker")
    with psycopg.connect(conninfo, autocommit=True, row_factory=dict_row) as connection:
        yield StoreWorker(connection, heartbeat.register(connection, name=name, lease_seconds=lease_seconds), name)
