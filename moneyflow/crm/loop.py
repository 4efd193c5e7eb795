"""The sender's loop in the process of the sink, with its health and its metrics."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
import structlog

from moneyflow.crm import metrics, status
from moneyflow.crm.sender import Sender
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.events.reporter import ReportError

log = structlog.get_logger(__name__)

#: Seconds between two looks for people who are due, while there are none.
_POLL_SECONDS = 0.5
#: Seconds between attempts after an error that is not the CRM's.
_BACK_OFF_SECONDS = 2.0
#: Seconds between measurements.
_MEASURE_SECONDS = 5.0
#: Seconds after which a round hangs: it gives its people back before.
_STUCK_SECONDS = 300.0


class SenderLoop:
    """Runs a sender's rounds in a thread until it is stopped; it opens and closes the sender's connections."""

    def __init__(
        self,
        sender: Sender,
        *,
        report_error: ReportError = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sender = sender
        self._report_error = report_error
        self._clock = clock
        self._ran_at = clock()
        self._measured_at = float("-inf")
        self._complaint: str | None = None

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping` is set; a round that is running ends first."""
        self._sender.database.open()
        try:
            while not stopping.is_set():
                self._ran_at = self._clock()
                seconds = await asyncio.to_thread(self._round)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), seconds)
        finally:
            self._sender.database.close()
            self._sender.crm.close()

    def is_alive(self) -> str | None:
        """Return a complaint when a round hangs."""
        seconds = self._clock() - self._ran_at
        return f"a round of sending to the CRM hangs for {seconds:.0f} seconds" if seconds > _STUCK_SECONDS else None

    def is_ready(self) -> str | None:
        """Return why nothing is sent: the CRM, or Postgres, is down; those who are due wait."""
        return self._complaint

    def _round(self) -> float:
        """Run one round and return the seconds until the next one."""
        try:
            done = self._sender.run_once()
            self._complaint = done.complaint
            metrics.available.set(done.complaint is None)
            self._show()
        except (psycopg.OperationalError, psycopg.InterfaceError, UnavailableError) as error:
            self._complaint = f"Postgres: {error!r}"
            log.warning("sending_paused", error=repr(error), consequence="people who are due wait")
            return _BACK_OFF_SECONDS
        except Exception as error:
            self._complaint = f"a round of sending failed: {error!r}"
            log.exception("sending_failed")
            self._report_error(error)
            return _BACK_OFF_SECONDS
        return 0 if done.has_more else _POLL_SECONDS

    def _show(self) -> None:
        if self._clock() - self._measured_at < _MEASURE_SECONDS:
            return
        self._measured_at = self._clock()
        with self._sender.database.transaction() as session:
            totals = status.totals(session)
        for state, count in totals.by_state().items():
            metrics.contacts.labels(state).set(count)
        metrics.oldest_waiting.set(totals.oldest_waiting_seconds)
