"""Waits that end when the process is stopped."""

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


async def unless(stopping: asyncio.Event, work: "asyncio.Future[T]") -> T | None:
    """Return the result of the work, or None when the process is stopped before it is done."""
    stop = asyncio.ensure_future(stopping.wait())
    both: list[asyncio.Future[Any]] = [stop, work]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        stop.cancel()
        work.cancel()


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """Wait for these seconds, or until the process is stopped."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
