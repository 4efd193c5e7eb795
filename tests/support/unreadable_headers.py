"""Messages with headers that RabbitMQ takes and that its clients raise for, sent as raw bytes."""

import math
import struct

import pika

from moneyflow.platform.brokers import rabbitmq
from moneyflow.settings import AllSettings

#: Flags of the properties `headers`, `message_id` and `type`.
_FLAGS = 0x2000 | 0x0080 | 0x0020


def _table(*fields: bytes) -> bytes:
    content = b"".join(b"\x01k" + field for field in fields)
    return struct.pack(">I", len(content)) + content


def _deep(levels: int) -> bytes:
    field = b"V"
    for _ in range(levels):
        field = b"F" + _table(field)
    return field


#: Fields that pika or py-amqp raises for, and what is read.
FIELDS: dict[str, bytes] = {
    "a time beyond Python's years": b"T" + struct.pack(">Q", 2**64 - 1),
    "NaN": b"d" + struct.pack(">d", math.nan),
    "infinity": b"f" + struct.pack(">f", math.inf),
    "tables within tables": _deep(3_000),
    "text that is not UTF-8": b"S" + struct.pack(">I", 2) + b"\xff\xfe",
    "an unknown type": b"?",
    "a length beyond the table": b"S" + struct.pack(">I", 2**31),
}


#: RabbitMQ closes the connection that sends one of these; others that speak AMQP may not.
_REFUSED = {"NaN", "infinity", "an unknown type", "a length beyond the table"}
TAKEN = {name: field for name, field in FIELDS.items() if name not in _REFUSED}


def properties(field: bytes) -> bytes:
    """Return the bytes of properties whose headers have the field, and whose message id and type are not UTF-8."""
    return struct.pack(">H", _FLAGS) + _table(b"I" + struct.pack(">i", 7), field) + 2 * b"\x02\xff\xfe"


class _Raw(pika.BasicProperties):  # type: ignore[misc] # pika has no types
    """Properties that are sent as they are."""

    def __init__(self, encoded: bytes) -> None:
        super().__init__()
        self._encoded = encoded

    def encode(self) -> list[bytes]:
        return [self._encoded]


def publish(settings: AllSettings, queue: str, body: bytes, field: bytes) -> None:
    """Publish a message with the field in its headers straight onto a queue."""
    with pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="operator", name="test")) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish("", queue, body, _Raw(properties(field)), mandatory=True)
