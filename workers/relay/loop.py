"""Loop: runs one part of the relay again and again, woken or after a pause."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from moneyflow.platform.errors import UnavailableError

log = structlog.get_logger(__name__)

_LONGEST_BACK_OFF_SECONDS = 5.0


class Loop:
    """Runs one part of the relay until it is cancelled.

    `work` does what is due and returns the seconds to wait before the next run, 0 when there is more. A server that is
    down delays this part with exponential back-off, and no other part.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[float]]) -> None:
        self.name = name
        self.last_run = time.monotonic()
        self._work = work
        self._awake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Start the next run now."""
        self._awake.set()

    def wake_after(self, seconds: float) -> None:
        """Start a run this many seconds after the first call; later calls until then change nothing."""
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._awake.set()

    async def run(self) -> None:
        """Run for ever; errors of Postgres are not caught: they end the leadership."""
        back_off = 0.1
        while True:
            self.last_run = time.monotonic()
            self._awake.clear()
            try:
                pause = await self._work()
                back_off = 0.1
            except UnavailableError as error:
                pause = back_off * random.uniform(0.5, 1.0)  # nosec B311  # noqa: S311 - jitter, not a secret
                log.warning("broker_unavailable", part=self.name, error=error.detail, seconds=round(pause, 2))
                back_off = min(back_off * 2, _LONGEST_BACK_OFF_SECONDS)
                await asyncio.sleep(pause)
                continue
            if pause > 0:
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except TimeoutError:
            return
