"""Heartbeat: a thread that records that this worker moves; a frozen worker's jobs are rescued after its lease.

With each heartbeat it records which jobs the worker's threads run, for operators.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
import structlog

from workers.claims.connection import WorkerConnection

log = structlog.get_logger(__name__)

#: Seconds between two heartbeats at most; else a quarter of the lease, so that three may be lost.
_LONGEST_PAUSE_SECONDS = 2.0
#: Seconds after a failed heartbeat: after an outage of Postgres, other workers may rescue this one's jobs.
_AFTER_FAILURE_SECONDS = 0.2


class Heartbeat:
    """Beats until it is stopped, and calls `each_beat` after every beat, a failed one too."""

    def __init__(
        self,
        connection: WorkerConnection,
        *,
        parent_died: Callable[[], None],
        each_beat: Callable[[], None],
        running: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
    ) -> None:
        self._connection = connection
        self._running = running
        self._parent_died = parent_died
        self._each_beat = each_beat
        self._parent = os.getppid()
        self._stopped = threading.Event()
        #: By the monotonic clock; this thread alone writes it.
        self.last_beat = time.monotonic()

    def start(self) -> None:
        """Start to beat, in a thread of its own."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Beat no more."""
        self._stopped.set()

    def _run(self) -> None:
        pause = usual = min(self._connection.lease_seconds / 4, _LONGEST_PAUSE_SECONDS)
        while not self._stopped.wait(pause):
            if os.getppid() != self._parent:
                log.warning("parent_died", consequence="this worker finishes what it runs and stops")
                self._parent_died()
            try:
                self._connection.beat(self._running())
                self.last_beat = time.monotonic()
                pause = usual
            except psycopg.Error as error:
                log.warning("heartbeat_failed", server=self._connection.server, error=str(error))
                pause = _AFTER_FAILURE_SECONDS
            self._each_beat()
