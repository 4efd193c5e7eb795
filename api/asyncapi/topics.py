"""Topics of Kafka: their keys, and the messages of each version of each event that may still be on them."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.contracts import PublishedContract, published_contracts
from moneyflow.events import event_topics
from moneyflow.platform.events.contract import CONTENT_TYPE, Event
from moneyflow.platform.events.topics import DEAD_LETTER, all_topics
from moneyflow.platform.settings import KafkaSettings

_TEXT = {"type": "string"}
_SERVERS = [{"$ref": "#/servers/kafka"}]
_DEAD_LETTER_MESSAGE = "dead_letter_of_an_event"
_MILLISECONDS_PER_HOUR = 3_600_000
#: The attributes of an envelope that are the same for all events; `type`, `dataschema` and `data` are each event's own.
_ENVELOPE = {
    "type": "object",
    "description": "A CloudEvents 1.0 JSON envelope in structured mode.",
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "format": "uuid", "description": "The key by which a repeated event is known."},
        "source": {**_TEXT, "format": "uri-reference", "description": "`/money-flow/` and the process."},
        "subject": {**_TEXT, "description": "The id of what the event is about."},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "sequence": {**_TEXT, "pattern": "^[1-9][0-9]*$", "description": "The version of the subject; grows by one."},
        "actorid": {**_TEXT, "description": "The person who acted."},
        "correlationid": {**_TEXT, "description": "The id of the HTTP request."},
        "traceparent": {**_TEXT, "description": "W3C Trace Context."},
    },
    "required": ["specversion", "id", "source", "type", "subject", "time", "dataschema", "data", "sequence"],
}
#: The headers of a record on `events.dead_letter`.
_DEAD_LETTER_HEADERS = {
    "x-original-topic": "The topic on which it was.",
    "x-original-partition": "The partition, as a decimal number.",
    "x-original-offset": "The offset, as a decimal number.",
    "x-sink": "The sink that refused it.",
    "x-error-class": "The class of the error.",
    "x-error-message": "The error, without secrets.",
    "x-failed-at": "When, as RFC 3339 in UTC.",
}


def published_events() -> list[PublishedContract]:
    """Return each version of each event."""
    return [one for one in published_contracts() if issubclass(one.contract, Event)]


def channels(events: Sequence[PublishedContract]) -> dict[str, Any]:
    """Return a channel for each topic."""
    on = {topic: [_name(one) for one in events if _topic(one) == topic] for topic in event_topics()}
    on[DEAD_LETTER] = [_DEAD_LETTER_MESSAGE]
    return {topic: _channel(topic, on[topic]) for topic in all_topics()}


def operations() -> dict[str, Any]:
    """Return what the relay sends and the sinks read; the sinks write dead letters."""
    sends = dict.fromkeys(event_topics(), "The relay sends, in the order of each key.")
    sends[DEAD_LETTER] = "A sink sends what it could not write, as it came."
    found = {
        f"send.{topic}": {"action": "send", "channel": _channel_of(topic), "summary": text}
        for topic, text in sends.items()
    }
    for topic in event_topics():
        found[f"receive.{topic}"] = {
            "action": "receive", "channel": _channel_of(topic), "summary": "Each sink reads, in a group of its own.",
        }  # fmt: skip
    return found


def messages(events: Sequence[PublishedContract]) -> dict[str, Any]:
    """Return a message for each version of each event, and the dead letter."""
    found = {_name(one): _message(one) for one in events}
    return found | {
        _DEAD_LETTER_MESSAGE: {
            "name": _DEAD_LETTER_MESSAGE,
            "title": "Any record, with its key and value as they came",
            "contentType": "application/octet-stream",
            "headers": {
                "type": "object",
                "properties": {name: {**_TEXT, "description": text} for name, text in _DEAD_LETTER_HEADERS.items()},
                "required": list(_DEAD_LETTER_HEADERS),
            },
            "payload": {"description": "The bytes of the record, which may be of any kind."},
            "bindings": {"kafka": {"key": {"description": "The key of the record, as it came."}}},
        }
    }


def schemas(events: Sequence[PublishedContract]) -> dict[str, Any]:
    """Return the envelope, the data of each version of each event, and the types within it."""
    found: dict[str, Any] = {"envelope": _ENVELOPE}
    for one in events:
        inner = one.schema.get("$defs", {})
        places = {f"#/$defs/{name}": f"#/components/schemas/{_name(one)}.{name}" for name in inner}
        found[_name(one)] = _relocated({key: part for key, part in one.schema.items() if key != "$defs"}, places)
        found |= {f"{_name(one)}.{name}": _relocated(part, places) for name, part in inner.items()}
    return found


def _channel(topic: str, names: Sequence[str]) -> dict[str, Any]:
    settings = KafkaSettings.model_fields
    hours: int = settings["kafka_log_retention_hours"].default
    return {
        "address": topic,
        "description": "Installations that share a cluster put KAFKA_TOPIC_PREFIX before the name.",
        "servers": _SERVERS,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": topic,
                "partitions": settings["kafka_num_partitions"].default,
                "topicConfiguration": {"retention.ms": hours * _MILLISECONDS_PER_HOUR, "cleanup.policy": ["delete"]},
            }
        },
    }


def _message(one: PublishedContract) -> dict[str, Any]:
    contract = one.contract
    assert issubclass(contract, Event), "topics carry events"
    own = {
        "type": {"const": one.type},
        "dataschema": {"const": one.address},
        "data": {"$ref": f"#/components/schemas/{_name(one)}"},
    }
    payload = {"allOf": [{"$ref": "#/components/schemas/envelope"}, {"type": "object", "properties": own}]}
    return {
        "name": one.type,
        "title": f"{one.type}, version {one.version}",
        "summary": str(one.schema.get("description", "")).partition("\n")[0],
        "contentType": CONTENT_TYPE,
        "payload": payload,
        "correlationId": {"location": "$message.payload#/correlationid"},
        "bindings": {"kafka": {"key": {**_TEXT, "description": f"The `{contract.key_field}` of its data."}}},
    }


def _topic(one: PublishedContract) -> str:
    assert issubclass(one.contract, Event), "topics carry events"
    return one.contract.topic


def _name(one: PublishedContract) -> str:
    return f"{one.type}.{one.version}"


def _channel_of(topic: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{topic}"}


def _relocated(part: Any, places: Mapping[str, str]) -> Any:
    """Return a part of a schema whose references lead to the components of the document."""
    if isinstance(part, list):
        return [_relocated(one, places) for one in part]
    if not isinstance(part, Mapping):
        return part
    return {
        key: places.get(value, value) if key == "$ref" and isinstance(value, str) else _relocated(value, places)
        for key, value in part.items()
    }
