"""How each part of the relay goes round: do what is there, then wait until it is woken, or a while."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

import structlog

from moneyflow.platform.errors import UnavailableError

log = structlog.get_logger(__name__)

_LONGEST_BACK_OFF_SECONDS = 5.0


class Loop:
    """Loop one part of the relay until it is cancelled.

    `work` does what is due and returns how long to wait before it is asked again: 0 when there is more at once.
    A server that is away makes this part wait longer and longer, and no other part.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[float]]) -> None:
        self.name = name
        self.last_turn = time.monotonic()
        self._work = work
        self._awake = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Let the next turn begin now."""
        self._awake.set()

    def wake_after(self, seconds: float) -> None:
        """Let a turn begin so long after the first of those who ask for it."""
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self._awake.set()

    async def run(self) -> None:
        """Go round for ever; errors of Postgres are not caught, for they end the leadership."""
        back_off = 0.1
        while True:
            self.last_turn = time.monotonic()
            self._awake.clear()
            try:
                pause = await self._work()
                back_off = 0.1
            except UnavailableError as error:
                pause = back_off * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
                log.warning("waiting", part=self.name, error=error.detail, seconds=round(pause, 2))
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
