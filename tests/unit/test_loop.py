"""How the relay's parts are woken: now, or a fixed time after the first request."""

import asyncio
import selectors
from collections.abc import Awaitable

import pytest

from workers.relay.__main__ import _notifications
from workers.relay.loop import Loop


class _Clock(selectors.DefaultSelector):
    """Lets the time of a loop pass at once whenever nothing is left to be done."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.passed += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.passed


def _run(work: Awaitable[list[float]]) -> list[float]:
    async def wait() -> list[float]:
        return await work

    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(wait())


async def _runs_until(woken: list[str], *, seconds: float) -> list[float]:
    """Return when the runs began, by how a part was woken that would sleep for long."""
    began: list[float] = []

    async def work() -> float:
        began.append(loop.time() - start)
        return 60

    loop = asyncio.get_running_loop()
    start = loop.time()
    part = Loop("test", work)
    running = asyncio.create_task(part.run())
    await asyncio.sleep(0.01)
    for how in woken:
        if how == "now":
            part.wake()
        else:
            part.wake_after(0.2)
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds)
    running.cancel()
    return began[1:]


def test_a_part_that_is_woken_runs_at_once() -> None:
    assert _run(_runs_until(["now"], seconds=1)) == [pytest.approx(0.01)]


def test_a_part_that_is_woken_for_later_by_many_runs_once_after_the_first() -> None:
    (began,) = _run(_runs_until(["later", "later", "later"], seconds=1))
    assert began == pytest.approx(0.21)


def test_a_part_that_is_woken_for_later_and_then_now_runs_at_once_and_again_later() -> None:
    first, second = _run(_runs_until(["later", "now"], seconds=1))
    assert (first, second) == pytest.approx((0.02, 0.21))


def test_a_message_without_a_known_notification_wakes_every_part() -> None:
    everything = {b"jobs", b"events", b"ready"}
    assert _notifications({"type": "message", "data": b"ready events"}) == {b"ready", b"events"}
    for kind, data in (("subscribe", 1), ("message", b"1"), ("message", b"")):
        assert _notifications({"type": kind, "data": data}) == everything
