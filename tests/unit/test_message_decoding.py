"""What a worker reads off the queue: nothing in it is trusted but the job's id."""

from uuid import UUID

import orjson
import pika
import pytest

from moneyflow.platform.brokers.job_message import decode, encode, fence_of, priority_of
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.ids import new_id

_ID = UUID("01934567-89ab-7cde-8f01-23456789abcd")


def _message(**changed: object) -> bytes:
    return orjson.dumps(orjson.loads(encode(_ID, "send_email", timestamp_milliseconds=1)) | changed)


def test_a_message_is_read_as_it_was_written() -> None:
    job_id = new_id()

    assert decode(encode(job_id, "send_email", timestamp_milliseconds=1)) == job_id


@pytest.mark.parametrize(
    ("headers", "fence"),
    [(None, None), ({}, None), ({"x-fence": 3}, 3), ({"x-fence": "3"}, None), ({"x-fence": True}, None)],
)
def test_a_fence_is_a_whole_number_or_none(headers: dict[str, object] | None, fence: int | None) -> None:
    assert fence_of(headers) == fence


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
