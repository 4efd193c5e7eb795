"""Event contract: the base class of every event, and the CloudEvents envelope that it is sent in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import Field

from moneyflow.platform import clock
from moneyflow.platform.errors import PoisonError, UnknownVersionError, UnreadableError
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.events.topics import event_topics
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.payloads import Payload, Upgrade, to_json
from moneyflow.platform.telemetry.origin import Origin

_TYPE = Pattern(r"[a-z]+(\.[a-z_]+)+", longest=100)

#: Bytes of the largest envelope: with its headers it fits into a record of Kafka's `message.max.bytes` (1 MiB).
MAX_EVENT_BYTES = 900_000

CONTENT_TYPE = "application/cloudevents+json"

#: The contract of each event type; filled when `moneyflow.events` is imported.
registry: dict[str, type["Event"]] = {}


class Event(Payload):
    """The base of every event's contract: its fields are the event's data.

    A subclass declares its `type`, its `topic` and the field that is its subject::

        class UserCreated(Event, type="user.created", topic=USER_EVENTS, subject="user_id"):
            user_id: UUID

    `upgrades` holds the function that upgrades data to the next version, for each earlier version.
    """

    type: ClassVar[str]
    topic: ClassVar[str]
    subject_field: ClassVar[str]
    key_field: ClassVar[str]
    payload_outside = frozenset({"sequence"})

    #: The aggregate's version after the change; grows by one, and is in the envelope, not in the data.
    sequence: int = Field(exclude=True, ge=1)

    def __init_subclass__(cls, **_: Any) -> None:
        """Accept the class's options; pydantic passes them to `__pydantic_init_subclass__`, which knows the fields."""
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(  # type: ignore[override] # each option has a name
        cls,
        *,
        type: str,
        topic: str,
        subject: str,
        key: str | None = None,
        version: int = 1,
        upgrades: Mapping[int, Upgrade] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(f"{cls.__name__}: unknown option {', '.join(unknown)}")
        if not _TYPE.fullmatch(type) or registry.get(type, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{cls.__name__}: type {type!r} is taken or not of the form user.created")
        key = key or subject
        if topic not in event_topics() or not {subject, key} <= cls.model_fields.keys():
            raise TypeError(f"{cls.__name__}: topic must be declared by topics.topic(), subject and key must be fields")
        cls.declare_payload(type, version=version, upgrades=upgrades)
        cls.type, cls.topic = type, topic
        cls.subject_field, cls.key_field = subject, key
        registry[type] = cls

    def key(self) -> str:
        """Return the Kafka key; events of one key are in order."""
        return str(getattr(self, self.key_field))

    @classmethod
    def from_envelope(cls, received: Envelope) -> Self:
        """Read the data of a received event, and upgrade it to this version.

        Raises:
            UnknownVersionError: a newer producer wrote it; the partition is parked until a newer consumer runs.
            UnreadableError: the upgrade from an older version fails; the partition is parked likewise.
            PoisonError: no version of this contract has written it.
        """
        if received.version is None or received.sequence is None or not isinstance(received.data, dict):
            raise PoisonError(f"{received.type} lacks dataschema, sequence or data, which each event of ours has")
        try:
            return cls.from_payload(received.data, received.version, sequence=received.sequence)
        except UnknownVersionError:
            raise
        except UnreadableError as error:
            if received.version < cls.version:
                raise
            raise PoisonError(error.detail) from error

    def envelope(self, *, event_id: UUID, source: str, origin: Origin, time: datetime) -> bytes:
        """Write the event as a CloudEvents 1.0 JSON envelope in structured mode.

        Raises:
            ValueError: the envelope is larger than Kafka takes; put less into its data.
            InvalidInputError: a field would come back changed, or not at all; the text names it.
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
        value = to_json({**attributes, "data": self.payload()}, of=self.type)
        if len(value) > MAX_EVENT_BYTES:
            raise ValueError(
                f"{self.type} takes {len(value)} bytes, more than {MAX_EVENT_BYTES}: put less into its data"
            )
        return value
