"""Companion: what a sink does besides its writes, in the same process, such as sending what it has noted elsewhere.

A sink has one by a method `companion(settings, report_error=…)`; its settings are in `CONSUMER_SETTINGS`.
"""

import asyncio
from typing import Protocol

from consumers.sink import Sink
from moneyflow.platform.events.reporter import ReportError
from moneyflow.settings import ConsumerSettings


class Companion(Protocol):
    """Runs next to the consumer's loop, with connections of its own, and is part of the process's health.

    It outlives its own errors.
    """

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""

    def is_alive(self) -> str | None:
        """Return a complaint when it hangs."""

    def is_ready(self) -> str | None:
        """Return what it waits for."""


def companions_of(sink: Sink, settings: ConsumerSettings, *, report_error: ReportError) -> list[Companion]:
    """Return the sink's companion, or none."""
    make = getattr(sink, "companion", None)
    companion: Companion | None = make(settings, report_error=report_error) if make else None
    return [companion] if companion else []
