"""Wait for Postgres: while it is away nothing can be written down, so nothing may be settled."""

import threading
from collections.abc import Callable
from typing import TypeVar

import psycopg
import structlog

from moneyflow.platform.database import is_passing
from moneyflow.platform.errors import PostgresDownError

log = structlog.get_logger(__name__)
T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0


class StoppingError(Exception):
    """The worker stops while Postgres is away: the message stays unsettled and is delivered again elsewhere."""


class PostgresRetry:
    """Acts, and again while Postgres is away or cannot now."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def __call__(self, act: Callable[[], T]) -> T:
        """Return what `act` returns in the end.

        Raises:
            StoppingError: the worker stops meanwhile.
        """
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                return act()
            except (psycopg.Error, PostgresDownError) as error:
                if not is_passing(error):
                    raise
                log.warning("waiting_for_postgres", error=str(error), seconds=wait)
            self.pause(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def pause(self, seconds: float) -> None:
        """Wait for so long; raises StoppingError as above."""
        if self._stopping.wait(seconds):
            raise StoppingError

    def end(self) -> None:
        """Let nobody wait any longer."""
        self._stopping.set()
