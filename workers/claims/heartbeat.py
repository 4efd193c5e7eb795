"""This worker's proof of life: one connection that holds its lock, beats its heart, and claims its jobs."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import structlog
from psycopg import Connection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import BY_KEYS, SESSION_OPTIONS, is_outage
from moneyflow.platform.jobs.store import workers as ledger

log = structlog.get_logger(__name__)

#: A claim that a crash of Postgres loses is harmless, its finish would not be: only this connection commits so.
_OPTIONS = f"{SESSION_OPTIONS} {BY_KEYS} -c synchronous_commit=off"


#: Whoever came back after Postgres was away must show it before others take its jobs.
_AFTER_FAILURE_SECONDS = 0.2


class Heartbeat:
    """A worker's number and the connection that stands for its life.

    When the process is killed, the connection ends and with it the lock: its jobs may be taken over at once. When it
    is frozen, its heart stops, and they may after `lease_seconds`.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        name: str,
        lease_seconds: float,
        parent_died: Callable[[], None],
        each_beat: Callable[[], None],
    ) -> None:
        self.name = name
        self._conninfo = conninfo
        self._lease_seconds = lease_seconds
        self._parent_died = parent_died
        self._each_beat = each_beat
        self._parent = os.getppid()
        self._lock = threading.Lock()
        self._connection: Connection[DictRow] | None = None
        self._number: int | None = None
        self._stopped = threading.Event()
        self.last_beat = time.monotonic()

    def start(self) -> None:
        """Begin to beat, from a thread of its own."""
        threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """End the connection and with it the lock."""
        self._stopped.set()
        with self._lock:
            self._drop()

    @contextmanager
    def acting(self) -> Iterator[tuple[Connection[DictRow], int]]:
        """Yield the connection and this worker's number, connecting when need be; one thread at a time.

        Raises:
            psycopg.OperationalError: when Postgres is away.
        """
        with self._lock:
            try:
                yield self._connected()
            except psycopg.Error as error:
                if is_outage(error):
                    self._drop()
                raise

    def _connected(self) -> tuple[Connection[DictRow], int]:
        if self._connection is None:
            connection = psycopg.connect(self._conninfo, autocommit=True, row_factory=dict_row, options=_OPTIONS)
            try:
                if self._number is None or not ledger.hold(connection, self._number):
                    self._number = ledger.register(connection, name=self.name, lease_seconds=self._lease_seconds)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            log.info("worker_present", worker=self.name, number=self._number)
        assert self._number is not None
        return self._connection, self._number

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _beat_until_stopped(self) -> None:
        pause = usual = min(self._lease_seconds / 4, 2.0)
        while not self._stopped.wait(pause):
            if os.getppid() != self._parent:
                log.warning("parent_died", consequence="this worker finishes what it runs and stops")
                self._parent_died()
            try:
                with self.acting() as (connection, number):
                    known = ledger.beat(connection, number)
                    if not known:  # Postgres lost the row in a crash: without a new number, nobody would trust us.
                        log.warning("number_lost", number=number)
                        self._drop()
                self.last_beat = time.monotonic()
                pause = usual
            except psycopg.Error as error:
                log.warning("heartbeat_failed", error=str(error))
                pause = _AFTER_FAILURE_SECONDS
            self._each_beat()
