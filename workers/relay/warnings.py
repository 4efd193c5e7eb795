"""Relay warnings: `system.warning` events, each at most once in ten minutes."""

import asyncio
import time

import structlog

from moneyflow.platform.database import Database
from moneyflow.platform.events.warnings import Details, warn

log = structlog.get_logger(__name__)

_AGAIN_AFTER_SECONDS = 600.0


class Warnings:
    """Emits `system.warning`, and repeats a warning about the same subject only after ten minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._warned_at: dict[tuple[str, str], float] = {}

    async def warn(self, code: str, message: str, *, subject: str, details: Details) -> None:
        """Warn, unless the same warning was emitted in the last ten minutes."""
        now = time.monotonic()
        if now - self._warned_at.get((code, subject), -_AGAIN_AFTER_SECONDS) < _AGAIN_AFTER_SECONDS:
            return
        await asyncio.to_thread(self._emit, code, message, details)
        self._warned_at[code, subject] = now
        log.warning(code, message=message, **details)

    def _emit(self, code: str, message: str, details: Details) -> None:
        with self._database.transaction() as session:
            warn(session, code=code, message=message, details=details)
