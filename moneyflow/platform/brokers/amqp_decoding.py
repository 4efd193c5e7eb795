"""AMQP decoding: whatever a message's headers and properties hold, the message is decoded.

Both clients raise for what RabbitMQ takes from any sender: a time that Python does not have, a number such as NaN, text
that is not UTF-8, tables within tables. Such a message breaks its connection, is delivered again, and breaks the next:
it would stop every worker and every pass over `jobs_failed`. So this decoder, which reads all of it, is installed into
both.
"""

import struct
from datetime import UTC, datetime
from typing import Any

from pika import data, spec
from pika.exceptions import AMQPError

#: How deep tables are read; what is deeper is left out.
_DEEPEST = 16
_BASIC_CLASS = 60
_LENGTH = struct.Struct(">I")
_decode_value = data.decode_value
#: Properties by the names that py-amqp gives them; pika's own name differs for the headers alone.
_PROPERTIES = (
    "content_type", "content_encoding", "delivery_mode", "priority", "correlation_id", "reply_to", "expiration",
    "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
)  # fmt: skip


def install_for_pika() -> None:
    """Let pika decode by this module; idempotent."""
    data.decode_table = decode_table


def install_for_kombu() -> None:
    """Let kombu's client decode by this module; idempotent."""
    from amqp import serialization  # noqa: PLC0415 - PERF: only the commands that read the queue need it

    install_for_pika()
    serialization.PROPERTY_CLASSES[_BASIC_CLASS] = decode_properties


def decode_properties(buffer: Any, offset: int) -> tuple[dict[str, Any], int]:
    """Decode the properties of a message, text in them that is not UTF-8 with escapes."""
    found = spec.BasicProperties()
    found.decode(bytes(buffer), offset)
    given = {name: getattr(found, name) for name in _PROPERTIES}
    properties = {name: _text(value) for name, value in given.items() if value is not None}
    return properties | ({} if found.headers is None else {"application_headers": found.headers}), len(buffer)


def decode_table(encoded: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """Decode a table, and return it with the offset of what follows it; an empty one when no client could read it."""
    try:
        return _nested(encoded, offset, is_table=True, depth=1)
    except (AMQPError, struct.error):
        return {}, offset + 4 + _LENGTH.unpack_from(encoded, offset)[0]


def decode_value(encoded: bytes, offset: int, depth: int = 0) -> tuple[Any, int]:
    """Decode a header's value, and return it with the offset of what follows it."""
    kind, start = encoded[offset : offset + 1], offset + 1
    if kind == b"S":  # PERF: first, as the headers of every job are texts.
        return _long_string(encoded, start)
    if kind == b"T":
        return _time(struct.unpack_from(">Q", encoded, start)[0]), start + 8
    if kind == b"d":
        return struct.unpack_from(">d", encoded, start)[0], start + 8
    if kind == b"f":
        return struct.unpack_from(">f", encoded, start)[0], start + 4
    if kind in {b"F", b"A"}:
        return _nested(encoded, start, is_table=kind == b"F", depth=depth + 1)
    decoded: tuple[Any, int] = _decode_value(encoded, offset)
    return decoded


def _long_string(encoded: bytes, offset: int) -> tuple[str | bytes, int]:
    """Decode a long string; one that is not UTF-8 as bytes."""
    end = offset + 4 + _LENGTH.unpack_from(encoded, offset)[0]
    raw = encoded[offset + 4 : end]
    try:
        return raw.decode(), end
    except UnicodeDecodeError:
        return raw, end


def _nested(encoded: bytes, offset: int, *, is_table: bool, depth: int) -> tuple[Any, int]:
    """Decode a table or an array."""
    end = offset + 4 + _LENGTH.unpack_from(encoded, offset)[0]
    if depth > _DEEPEST:
        return None, end
    offset += 4
    table: dict[Any, Any] = {}
    array: list[Any] = []
    while offset < end:
        key = None
        if is_table:
            key, offset = data.decode_short_string(encoded, offset)
        value, offset = decode_value(encoded, offset, depth)
        if is_table:
            table[_text(key)] = value
        else:
            array.append(value)
    return table if is_table else array, end


def _time(seconds: int) -> datetime | str:
    """Return a time; its seconds as text when Python does not have it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
