"""Events about the platform itself, in order per process on `system.events`."""

from pydantic import Field

from moneyflow.platform.events.contract import Event
from moneyflow.platform.events.topics import SYSTEM_EVENTS


class SystemWarning(Event, type="system.warning", topic=SYSTEM_EVENTS, subject="process"):
    """A condition that an operator must look at: `code` is for alerts, `message` is the condition and what to do."""

    process: str
    code: str
    message: str
    details: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
