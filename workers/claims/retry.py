"""Postgres retry: while Postgres is down no attempt can be recorded, so no delivery may be settled."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg
import structlog

from moneyflow.platform.database import is_transient
from moneyflow.platform.errors import PostgresDownError

log = structlog.get_logger(__name__)
T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0


class StoppingError(Exception):
    """The worker stops while Postgres is down: RabbitMQ delivers the message again, to another worker."""


class PostgresRetry:
    """Repeats an action while Postgres is down, or cannot do it now; `server` is its host:port, for the log."""

    def __init__(self, *, server: str | None = None) -> None:
        self._server = server
        self._stopping = threading.Event()

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what `action` returns once Postgres answers.

        Raises:
            StoppingError: the worker stops meanwhile.
        """
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return action()
            except (psycopg.Error, PostgresDownError) as error:
                if not is_transient(error):
                    raise
                log.warning("postgres_unavailable", server=self._server, error=str(error), retry_in_seconds=wait)
            self.pause(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait for `seconds`; raises StoppingError as above."""
        if self._stopping.wait(seconds):
            raise StoppingError

    def stop(self) -> None:
        """End every wait, now and from now on."""
        self._stopping.set()
