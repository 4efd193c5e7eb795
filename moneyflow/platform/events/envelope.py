"""CloudEvents envelope as consumers read it: its attributes are checked, its data is not interpreted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from moneyflow.platform.bounds import EARLIEST, LATEST
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.patterns import Pattern

#: Characters of an attribute; a longer one fits into no index.
_MAX_ATTRIBUTE = 255
_REQUIRED = ("specversion", "id", "source", "type", "subject", "time")
#: The version is the last part of an event's `dataschema`.
_SCHEMA = Pattern(r"/schemas/(?P<type>[a-z._]{1,200})/(?P<version>[1-9][0-9]{0,4})", longest=300)
_SEQUENCE = Pattern(r"[1-9][0-9]{0,17}", longest=18)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A received event: its attributes of CloudEvents 1.0, our extensions, and its data, not interpreted."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    actor_id: str | None
    correlation_id: str | None
    data: Any
    #: Of an event of ours; None for any other CloudEvent.
    version: int | None = None
    sequence: int | None = None


def read(value: bytes | None) -> Envelope:
    """Read a record's value.

    Raises:
        PoisonError: it is no CloudEvents 1.0 JSON envelope, or lacks an attribute that every event of ours has.
    """
    try:
        event = JSONFormat().read(_complete, value or b"")
    except PoisonError:
        raise
    except Exception as error:  # The parser raises many classes; each means that this record is bad.
        raise PoisonError(f"not a CloudEvents envelope: {type(error).__name__}: {error}") from error
    time, subject = event.get_time(), event.get_subject()
    if time is None or time.tzinfo is None:
        raise PoisonError("the attribute time has no time zone")
    if not EARLIEST <= time < LATEST:
        raise PoisonError(f"the attribute time is not between {EARLIEST.year} and {LATEST.year - 1}")
    return Envelope(
        id=_text("id", event.get_id()),
        source=_text("source", event.get_source()),
        type=_text("type", event.get_type()),
        subject=_text("subject", subject),
        time=time,
        actor_id=_optional_text("actorid", event.get_extension("actorid")),
        correlation_id=_optional_text("correlationid", event.get_extension("correlationid")),
        data=event.get_data(),
        version=_version(event.get_type(), event.get_dataschema()),
        sequence=int(text) if _SEQUENCE.fullmatch(text := str(event.get_extension("sequence"))) else None,
    )


def _version(type: object, schema: object) -> int | None:
    """Return the version of the contract that the data was written by."""
    found = _SCHEMA.fullmatch(str(schema))
    return int(found["version"]) if found and found["type"] == type else None


def _complete(attributes: dict[str, Any], data: Any) -> CloudEvent:
    """Make the event; refuse missing attributes, for which the library would invent an id and a time."""
    missing = [name for name in _REQUIRED if not _is_given(attributes, name)]
    if missing:
        raise PoisonError(f"the envelope lacks {', '.join(missing)}")
    return CloudEvent(attributes, data)


def _is_given(attributes: Mapping[str, Any], name: str) -> bool:
    return attributes.get(name) not in {None, ""}


def _text(name: str, value: Any) -> str:
    """Return an attribute as text that any database can store and index."""
    text = str(value)
    if not text.isprintable() or len(text) > _MAX_ATTRIBUTE:
        raise PoisonError(f"the attribute {name} must be at most {_MAX_ATTRIBUTE} printable characters")
    return text


def _optional_text(name: str, value: Any) -> str | None:
    return None if value is None else _text(name, value)
