"""Event contract: the base class of every event, and the CloudEvents envelope that it is sent in."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from moneyflow.platform import clock
from moneyflow.platform.events.topics import event_topics
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry.origin import Origin

_TYPE = Pattern(r"[a-z]+(\.[a-z_]+)+", longest=100)

#: Bytes of the largest envelope: with its headers it fits into a record of Kafka's `message.max.bytes` (1 MiB).
MAX_EVENT_BYTES = 900_000

CONTENT_TYPE = "application/cloudevents+json"

#: The contract of each event type; filled when `moneyflow.events` is imported.
registry: dict[str, type["Event"]] = {}


class Event(BaseModel):
    """The base of every event's contract: its fields are the event's data.

    A subclass declares its `type`, its `topic` and the field that is its subject::

        class UserCreated(Event, type="user.created", topic=USER_EVENTS, subject="user_id"):
            user_id: UUID
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    topic: ClassVar[str]
    version: ClassVar[int]
    subject_field: ClassVar[str]
    key_field: ClassVar[str]

    #: The aggregate's version after the change; grows by one, and is in the envelope, not in the data.
    sequence: int = Field(exclude=True, ge=1)

    def __init_subclass__(cls, **_: Any) -> None:
        """Accept the class's options; pydantic passes them to `__pydantic_init_subclass__`, which knows the fields."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(  # type: ignore[override] # each option has a name
        cls, *, type: str, topic: str, subject: str, key: str | None = None, version: int = 1, **unknown: Any
    ) -> None:
        if unknown:
            raise TypeError(f"{cls.__name__}: unknown option {', '.join(unknown)}")
        if not _TYPE.fullmatch(type) or registry.get(type, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__}: type {type!r} is taken or not of the form user.created")
        key = key or subject
        if topic not in event_topics() or not {subject, key} <= cls.model_fields.keys() or version < 1:
            raise TypeError(f"{cls.__name__}: topic must be declared by topics.topic(), subject and key must be fields")
        cls.type, cls.topic, cls.version = type, topic, version
        cls.subject_field, cls.key_field = subject, key
        registry[type] = cls

    def key(self) -> str:
        """Return the Kafka key; events of one key are in order."""
        return str(getattr(self, self.key_field))

    def envelope(self, *, event_id: UUID, source: str, origin: Origin, time: datetime) -> bytes:
        """Write the event as a CloudEvents 1.0 JSON envelope in structured mode.

        Raises:
            ValueError: the envelope is larger than Kafka takes; put less into its data.
        """
        attributes: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(event_id),
            "source": source,
            "type": self.type,
            "subject": str(getattr(self, self.subject_field)),
            "time": clock.rfc3339(time),
            "datacontenttype": "application/json",
            "dataschema": f"/schemas/{self.type}/{self.version}",
            "sequence": str(self.sequence),
        }
        extensions = {
            "actorid": origin.actor_id,
            "correlationid": origin.correlation_id,
            "traceparent": origin.traceparent,
        }
        attributes |= {name: value for name, value in extensions.items() if value is not None}
        value = orjson.dumps({**attributes, "data": self.model_dump(mode="json")})
        if len(value) > MAX_EVENT_BYTES:
            raise ValueError(
                f"{self.type} takes {len(value)} bytes, more than {MAX_EVENT_BYTES}: put less into its data"
            )
        return value
