"""Warnings of the relay as events, each once in a while and not with every look."""

import asyncio
import time

import structlog

from moneyflow.platform.database import Database
from moneyflow.platform.events.warnings import Details, warn

log = structlog.get_logger(__name__)

_AGAIN_AFTER_SECONDS = 600.0


class Warnings:
    """Emits `system.warning`; what was told of one subject is told again only after ten minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: dict[tuple[str, str], float] = {}

    async def warn(self, code: str, message: str, *, subject: str, details: Details) -> None:
        """Tell operators, unless they were told a moment ago."""
        now = time.monotonic()
        if now - self._told.get((code, subject), -_AGAIN_AFTER_SECONDS) < _AGAIN_AFTER_SECONDS:
            return
        await asyncio.to_thread(self._emit, code, message, details)
        self._told[code, subject] = now
        log.warning(code, told=message, **details)

    def _emit(self, code: str, message: str, details: Details) -> None:
        with self._database.transaction() as session:
            warn(session, code=code, message=message, details=details)
