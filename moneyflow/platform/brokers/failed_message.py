"""A message of `jobs_failed` as it lies there: bytes, properties and headers, and what they say."""

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from moneyflow.platform.clock import rfc3339

_FENCE, _DEATH = "x-fence", "x-death"
#: Written by RabbitMQ about a death that is over.
_DEATH_HEADERS = (_DEATH, "x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
                  "x-last-death-exchange", "x-last-death-queue", "x-last-death-reason")  # fmt: skip
#: RabbitMQ would compare the sender's name with ours.
_NOT_KEPT = frozenset({"application_headers", "user_id"})
#: The properties that kombu takes by name.
_NAMED = ("priority", "content_type", "content_encoding")


@dataclass(frozen=True, kw_only=True)
class FailedMessage:
    """A message of `jobs_failed` as it lies there, bytes untouched; `tag` is of the look that found it."""

    tag: int
    body: bytes
    properties: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)

    @property
    def fence(self) -> int | None:
        """Return the fence of the failure that it tells of; None when the relay did not write it."""
        fence = self.headers.get(_FENCE)
        return fence if isinstance(fence, int) and not isinstance(fence, bool) else None

    @property
    def fingerprint(self) -> str:
        """Return a short name; messages of the same bytes and the same id share it."""
        name = str(self.properties.get("message_id", "")).encode()
        return hashlib.sha256(len(name).to_bytes(4, "big") + name + self.body).hexdigest()[:12]

    @property
    def death(self) -> dict[str, Any]:
        """Return RabbitMQ's own record of why it lies here; empty when there is none."""
        deaths = self.headers.get(_DEATH)
        return deaths[0] if isinstance(deaths, list) and deaths and isinstance(deaths[0], dict) else {}

    @property
    def moment(self) -> datetime | None:
        """Return when it was set aside, else when it was written."""
        found = self.death.get("time") or self.properties.get("timestamp")
        if isinstance(found, int):
            with suppress(ValueError, OverflowError, OSError):
                return datetime.fromtimestamp(found, UTC)
            return None
        return found.replace(tzinfo=found.tzinfo or UTC) if isinstance(found, datetime) else None

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it; `from_json` reads it again, but for the record of its death."""
        return {
            "body": base64.b64encode(self.body).decode(),
            "properties": _plain(self.properties),
            "headers": _plain(self._headers_alive()),
            "death": _plain(self.death),
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return a message that was kept as JSON."""
        body = base64.b64decode(kept["body"])
        return cls(tag=0, body=body, properties=kept["properties"], headers=kept["headers"])

    @classmethod
    def from_message(cls, message: Any) -> Self:
        """Read what RabbitMQ delivered."""
        properties = {name: value for name, value in message.properties.items() if name not in _NOT_KEPT}
        return cls(
            tag=message.delivery_info["delivery_tag"],
            body=bytes(message.body),
            properties=properties,
            headers=message.properties.get("application_headers") or {},
        )

    def arguments(self) -> dict[str, Any]:
        """Return how kombu publishes it again, without the record of its death."""
        others = {name: value for name, value in self.properties.items() if name not in _NAMED}
        named = {name: self.properties.get(name) for name in _NAMED}
        return {**named, "headers": self._headers_alive(), "properties": others}

    def _headers_alive(self) -> dict[str, Any]:
        return {name: value for name, value in self.headers.items() if name not in _DEATH_HEADERS}


def _plain(value: Any) -> Any:
    """Return what JSON can hold of a header's value."""
    if isinstance(value, dict):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, list):
        return [_plain(content) for content in value]
    if isinstance(value, datetime):
        return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | float | bool | None) else str(value)
