"""Worker connection: the one connection that holds this worker's lock and makes its claims."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import BY_KEYS, SESSION_OPTIONS, is_outage, server_of
from moneyflow.platform.jobs.store import heartbeat

log = structlog.get_logger(__name__)

#: A claim that a crash of Postgres loses is harmless, the end of a job is not: this connection alone commits so.
_OPTIONS = f"{SESSION_OPTIONS} {BY_KEYS} -c synchronous_commit=off"


class WorkerConnection:
    """A connection that proves with its advisory lock that this worker is alive; one thread at a time uses it.

    When the process is killed, its connection ends and with it the lock, so its jobs may be rescued at once.
    """

    def __init__(self, conninfo: str, *, name: str, lease_seconds: float, threads: int | None = None) -> None:
        self.name = name
        self.lease_seconds = lease_seconds
        self.server = server_of(conninfo)
        self._threads = threads
        self._conninfo = conninfo
        self._lock = threading.Lock()
        self._connection: Connection[DictRow] | None = None
        self._number: int | None = None

    @contextmanager
    def use(self) -> Iterator[tuple[Connection[DictRow], int]]:
        """Yield the connection and this worker's number, connecting first where needed.

        Raises:
            psycopg.OperationalError: Postgres is down.
        """
        with self._lock:
            try:
                yield self._connected()
            except psycopg.Error as error:
                if is_outage(error):
                    self._drop()
                raise

    def beat(self, running: Sequence[Mapping[str, Any]] = ()) -> None:
        """Record the heartbeat and what runs; a worker that Postgres does not know registers again at its next use."""
        with self.use() as (connection, number):
            if not heartbeat.beat(connection, number, running):  # Postgres lost the row in a crash.
                log.warning("worker_number_lost", number=number)
                self._drop()

    def close(self) -> None:
        """Close the connection, and give up the lock with it."""
        with self._lock:
            self._drop()

    def _connected(self) -> tuple[Connection[DictRow], int]:
        if self._connection is None:
            connection = psycopg.connect(self._conninfo, autocommit=True, row_factory=dict_row, options=_OPTIONS)
            try:
                if self._number is None or not heartbeat.hold_lock(connection, self._number):
                    self._number = heartbeat.register(
                        connection, name=self.name, lease_seconds=self.lease_seconds, threads=self._threads
                    )
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            log.info("worker_registered", worker=self.name, number=self._number)
        assert self._number is not None
        return self._connection, self._number

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
