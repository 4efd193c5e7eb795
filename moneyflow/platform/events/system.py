"""Events about the platform itself, in order per process on `system.events`; none carries personal data.

`system.error` and `system.warning` are deduplicated (`reports.py`): the first of a kind is sent at once, and those that
follow it are one event with their count.
"""

from datetime import datetime
from typing import Any

from pydantic import Field

from moneyflow.platform.events.contract import Event
from moneyflow.platform.events.topics import SYSTEM_EVENTS


class HealthCheck(Event, type="system.health_check", topic=SYSTEM_EVENTS, subject="process"):
    """How an instance of a process is, on its timer: what its /healthz and /readyz answer."""

    process: str
    #: Which one of the processes of this name: host:pid, for a consumer with its sink.
    instance: str
    alive: bool
    ready: bool
    uptime_seconds: int


class UnhandledError(Event, type="system.error", topic=SYSTEM_EVENTS, subject="process"):
    """An error that no code expects: a bug. Its text is in the log of the process, under the same fingerprint.

    `place` is the innermost function of ours, as module:function. `count` failures had this fingerprint since `since`;
    the first one has no `since`.
    """

    process: str
    fingerprint: str
    error_class: str
    place: str
    count: int
    since: datetime | None


def _counted(data: dict[str, Any]) -> dict[str, Any]:
    """Upgrade a warning of version 1, each of which was sent by itself."""
    return {**data, "count": 1, "since": None}


class SystemWarning(
    Event, type="system.warning", topic=SYSTEM_EVENTS, subject="process", version=2, upgrades={1: _counted}
):
    """A condition that an operator must look at: `code` is for alerts, `message` is the condition and what to do.

    The process warned `count` times since `since`, of which this is the last; the first one has no `since`.
    """

    process: str
    code: str
    message: str
    details: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    count: int
    since: datetime | None
