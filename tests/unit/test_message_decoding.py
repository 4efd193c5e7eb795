"""What a worker reads off the queue: nothing in it is trusted but the job's id."""

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pika
import pytest
from amqp import serialization

from moneyflow.platform.brokers import amqp_decoding
from moneyflow.platform.brokers.failed_message import FailedMessage, fence_of
from moneyflow.platform.brokers.job_message import decode, encode, priority_of
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.jobs.failed.refused_messages import Refused, groups_of
from tests.support import unreadable_headers

_ID = UUID("01934567-89ab-7cde-8f01-23456789abcd")


def _message(**changed: object) -> bytes:
    return orjson.dumps(orjson.loads(encode(_ID, "send_email", timestamp_milliseconds=1)) | changed)


def test_a_message_is_read_as_it_was_written() -> None:
    job_id = new_id()

    assert decode(encode(job_id, "send_email", timestamp_milliseconds=1)) == job_id


@pytest.mark.parametrize(
    ("headers", "fence"),
    [
        (None, None), ({}, None), ([], None), ({"x-fence": 3}, 3), ({"x-fence": 2**63 - 1}, 2**63 - 1),
        ({"x-fence": pika.compat.long(2**62)}, 2**62),
        *[({"x-fence": forged}, None) for forged in (True, False, "3", 3.0, -1, 2**63, None, [3], {"x": 3}, b"3")],
    ],
)  # fmt: skip
def test_a_fence_is_a_number_that_postgres_can_hold_or_none(headers: Any, fence: int | None) -> None:
    assert fence_of(headers) == fence
    assert type(fence_of(headers)) is type(fence)  # And not of pika's own class of integers.


#: Values of any header, as a client may send them and RabbitMQ takes them.
_FORGED: dict[str, Any] = {
    "boolean": True, "large": 2**63 - 1, "negative": -1, "float": 1.5, "nan": math.nan, "infinity": -math.inf,
    "null": None, "bytes": b"\xff\x00", "text": "x" * 10_000, "nul": "a\x00b", "half": "a\ud800",
    "list": [1, "x", None], "table": {"a": {"b": [True]}}, "decimal": Decimal("1.5"), "empty": {},
    "time": datetime.max,  # noqa: DTZ901 - as py-amqp reads it
}  # fmt: skip
_HEADERS = (
    "x-fence", "x-death", "x-attempts", "x-error-class", "x-error-message", "x-error-traceback", "x-failed-at",
    "x-worker", "traceparent", "x-first-death-queue",
)  # fmt: skip


@pytest.mark.parametrize("forged", _FORGED.values(), ids=_FORGED)
@pytest.mark.parametrize("header", _HEADERS)
def test_a_forged_header_of_any_type_is_read_shown_and_kept(header: str, forged: Any) -> None:
    for value in (forged, [forged], [{"time": forged, "count": forged, "reason": forged}], {"time": forged}):
        message = FailedMessage(tag=1, body=b"{}", headers={header: value})

        assert message.fence is None or header == "x-fence"
        assert message.moment is None or isinstance(message.moment, datetime)
        kept = json.dumps(message.as_json(), allow_nan=False)
        assert "\\u0000" not in kept
        assert "\\ud800" not in kept
        assert FailedMessage.from_json(json.loads(kept)).body == b"{}"


@pytest.mark.parametrize("forged", [*_FORGED.values(), 2**70], ids=[*_FORGED, "huge"])
@pytest.mark.parametrize("name", ["message_id", "type", "timestamp", "priority", "content_type"])
def test_a_forged_property_of_any_type_is_read_and_shown(name: str, forged: Any) -> None:
    refused = Refused(
        message=FailedMessage(tag=1, body=b'{"actor_name": ["x"]}', properties={name: forged}), error_class="x", why="x"
    )

    assert len(refused.message.fingerprint) == 12
    assert isinstance(refused.kind, str)
    refused.matches(Filter(kinds=("x",), priorities=(1,), since=datetime(2020, 1, 1, tzinfo=UTC)))
    groups_of([refused])
    json.dumps(refused.message.as_json(), allow_nan=False)


@pytest.mark.parametrize("field", unreadable_headers.FIELDS.values(), ids=unreadable_headers.FIELDS)
def test_headers_that_no_client_could_read_break_no_connection(field: bytes) -> None:
    amqp_decoding.install_for_kombu()
    properties = unreadable_headers.properties(field)

    by_pika = pika.BasicProperties()
    by_pika.decode(properties)
    by_kombu, end = serialization.PROPERTY_CLASSES[60](properties, 0)

    assert end == len(properties)
    assert by_pika.headers is not None
    assert by_kombu["type"] == "\\xff\\xfe"
    assert fence_of(by_pika.headers) is fence_of(by_kombu["application_headers"]) is None


def test_a_message_is_dramatiqs_json_whose_only_argument_is_the_jobs_id() -> None:
    assert orjson.loads(encode(_ID, "send_email", timestamp_milliseconds=5)) == {
        "queue_name": "jobs",
        "actor_name": "send_email",
        "args": [str(_ID)],
        "kwargs": {},
        "options": {},
        "message_id": str(_ID),
        "message_timestamp": 5,
    }


@pytest.mark.parametrize(("given", "read"), [(None, 0), (0, 0), (10, 10), (255, 10), (-1, 0)])
def test_a_priority_is_held_within_zero_and_ten(given: int | None, read: int) -> None:
    assert priority_of(pika.BasicProperties(priority=given)) == read


@pytest.mark.parametrize("field", ["message_id", "message_timestamp"])
def test_a_field_that_no_worker_uses_may_hold_anything(field: str) -> None:
    assert decode(_message(**{field: None})) == _ID


_REFUSED = {
    "options null": _message(options=None),
    "a list as actor_name": _message(actor_name=["send_email"]),
    "throws set by the sender": _message(options={"throws": ["ValueError"]}),
    "another queue's name": _message(queue_name="other"),
    "options as a list": _message(options=[]),
    "options false": _message(options=False),
    "kwargs null": _message(kwargs=None),
    "kwargs not empty": _message(kwargs={"id": 1}),
    "no actor": _message(actor_name=""),
    "an actor that is no name": _message(actor_name="../x"),
    "an actor with a line break": _message(actor_name="send_email\n"),
    "no argument": _message(args=[]),
    "two arguments": _message(args=[str(_ID), str(_ID)]),
    "args as an object": _message(args={"0": str(_ID)}),
    "args as a text": _message(args=str(_ID)),
    "args null": _message(args=None),
    "a number as id": _message(args=[5]),
    "an id in braces": _message(args=[f"{{{_ID}}}"]),
    "an id without hyphens": _message(args=[_ID.hex]),
    "an unknown field": _message(eta=1),
    "a missing field": orjson.dumps({"queue_name": "jobs", "actor_name": "send_email", "args": [str(_ID)]}),
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "no body": b"",
    "no JSON": b"\x80\x04\x95pickle",
    "half a body": _message()[:-2],
    "NaN": _message().replace(b'"message_timestamp":1', b'"message_timestamp":NaN'),
    "no UTF-8": b'{"queue_name":"\xff"}',
    "too deep": b"[" * 5000,
}


@pytest.mark.parametrize("body", _REFUSED.values(), ids=_REFUSED.keys())
def test_a_malformed_message_is_poison(body: bytes) -> None:
    with pytest.raises(PoisonError):
        decode(body)
