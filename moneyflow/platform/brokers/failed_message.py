"""Messages on `jobs_failed`: raw bytes, properties and headers, and what the headers say of the failure."""

import base64
import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from moneyflow.platform.bounds import storable
from moneyflow.platform.clock import rfc3339_to_the_second

#: Header of a dead letter: the fence of the failure that it describes, so that it replays the job at most once.
FENCE_HEADER = "x-fence"
_DEATH = "x-death"
#: The first number that is no fence, because Postgres cannot hold it.
_PAST_FENCES = 2**63
#: Headers in which RabbitMQ recorded how it dead-lettered the message; they are not published again.
_DEATH_HEADERS = (_DEATH, "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
                  "x-last-death-exchange", "x-last-death-queue", "x-last-death-reason")  # fmt: skip
#: Properties that are not kept; RabbitMQ would refuse a `user_id` that is not the publisher's.
_NOT_KEPT = frozenset({"application_headers", "user_id"})
#: Properties that kombu takes by name.
_NAMED = ("priority", "content_type", "content_encoding")


@dataclass(frozen=True, kw_only=True)
class FailedMessage:
    """A message on `jobs_failed`, bytes untouched; `tag` is its delivery tag in the pass that read it."""

    tag: int
    body: bytes
    properties: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)

    @property
    def fence(self) -> int | None:
        """The fence of the failure that a dead letter describes; None when the relay did not write the message."""
        return fence_of(self.headers)

    @property
    def fingerprint(self) -> str:
        """A short name; messages of the same bytes and the same id share it."""
        name = str(self.properties.get("message_id", "")).encode("utf-8", "backslashreplace")
        return hashlib.sha256(len(name).to_bytes(4, "big") + name + self.body).hexdigest()[:12]

    @property
    def death(self) -> dict[str, Any]:
        """RabbitMQ's record of why it dead-lettered the message; empty when it did not."""
        deaths = self.headers.get(_DEATH)
        return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}

    @property
    def moment(self) -> datetime | None:
        """When RabbitMQ dead-lettered it, else when it was published."""
        found = self.death.get("time") or self.properties.get("timestamp")
        if isinstance(found, int) and not isinstance(found, bool):
            with suppress(ValueError, OverflowError, OSError):
                return datetime.fromtimestamp(found, UTC)
            return None
        return found.replace(tzinfo=found.tzinfo or UTC) if isinstance(found, datetime) else None

    def as_json(self) -> dict[str, Any]:
        """Return the message as JSON; `from_json` restores it, without the record of its dead-lettering."""
        return {
            "body": base64.b64encode(self.body).decode(),
            "properties": _plain(self.properties),
            "headers": _plain(self._own_headers()),
            "death": _plain(self.death),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return a message that was kept as JSON; it has no delivery tag."""
        body = base64.b64decode(kept["body"])
        return cls(tag=0, body=body, properties=kept["properties"], headers=kept["headers"])

    @classmethod
    def from_message(cls, message: Any) -> Self:
        """Return a message that RabbitMQ delivered."""
        properties = {name: value for name, value in message.properties.items() if name not in _NOT_KEPT}
        return cls(
            tag=message.delivery_info["delivery_tag"],
            body=bytes(message.body),
            properties=properties,
            headers=message.properties.get("application_headers") or {},
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments with which kombu publishes it again, without the record of its dead-lettering."""
        others = {name: value for name, value in self.properties.items() if name not in _NAMED}
        named = {name: self.properties.get(name) for name in _NAMED}
        return {**named, "headers": self._own_headers(), "properties": others}

    def _own_headers(self) -> dict[str, Any]:
        return {name: value for name, value in self.headers.items() if name not in _DEATH_HEADERS}


def fence_of(headers: Any) -> int | None:
    """Return the fence in a dead letter's headers; None when the relay did not write the message."""
    fence = headers.get(FENCE_HEADER) if isinstance(headers, dict) else None
    # A boolean is an integer to Python, and not to Postgres; pika's integers are of a class of its own.
    if not isinstance(fence, int) or isinstance(fence, bool) or not 0 <= fence < _PAST_FENCES:
        return None
    return int(fence)


def _plain(value: Any) -> Any:
    """Return a header's value as JSON, and Postgres's jsonb, can hold it."""
    if isinstance(value, dict):
        return {storable(str(key)): _plain(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_plain(content) for content in value]
    if isinstance(value, datetime):  # AMQP's times have seconds.
        return rfc3339_to_the_second(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, bytes | bytearray):
        return storable(value.decode("utf-8", "replace"))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if isinstance(value, int | bool | None) else storable(str(value))
