"""Message codec: body, properties and headers of the message of a job, and of its dead letter.

The body is Dramatiq's JSON with the job's id as its only argument. Only the relay publishes these messages, and only
workers consume them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pika

from moneyflow.platform.brokers.failed_message import FENCE_HEADER
from moneyflow.platform.brokers.rabbitmq import DEAD_EXCHANGE, HIGHEST_PRIORITY, JOBS_EXCHANGE, JOBS_QUEUE
from moneyflow.platform.clock import rfc3339
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.patterns import Pattern

_KIND = Pattern(r"[a-z][a-z0-9_]{1,62}", longest=63)
_FIELDS = {"queue_name", "actor_name", "args", "kwargs", "options", "message_id", "message_timestamp"}


class RefusedMessageError(PoisonError):
    """A message that is no job; `reason` is one of a few words, for metrics."""

    def __init__(self, detail: str, *, reason: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message to publish; `properties.message_id` is unique in its batch."""

    exchange: str
    routing_key: str
    body: bytes
    properties: pika.BasicProperties


def job_message(job: Mapping[str, Any]) -> Outgoing:
    """Return the message of a job; `job` has id, kind, priority, enqueued_at and traceparent."""
    return Outgoing(exchange=JOBS_EXCHANGE, routing_key=JOBS_QUEUE, body=_body(job), properties=_properties(job))


def dead_letter_message(dead_letter: Mapping[str, Any]) -> Outgoing:
    """Return the dead letter of a failed job, for `jobs_failed`; moved to `jobs`, it replays the job."""
    failed_at: datetime = dead_letter["ended_at"]
    headers = {
        "x-error-class": dead_letter["error_class"],
        "x-error-message": dead_letter["error_message"],
        "x-error-traceback": dead_letter["error_traceback"] or "",
        "x-attempts": dead_letter["attempt"],
        "x-failed-at": rfc3339(failed_at),
        "x-worker": dead_letter["worker"],
        FENCE_HEADER: dead_letter["fence"],
    }
    properties = _properties(dead_letter, **headers)
    return Outgoing(exchange=DEAD_EXCHANGE, routing_key=JOBS_QUEUE, body=_body(dead_letter), properties=properties)


def encode(job_id: UUID, kind: str, *, timestamp_milliseconds: int) -> bytes:
    """Encode the body of a job's message."""
    return orjson.dumps(
        {
            "queue_name": JOBS_QUEUE,
            "actor_name": kind,
            "args": [str(job_id)],
            "kwargs": {},
            "options": {},
            "message_id": str(job_id),
            "message_timestamp": timestamp_milliseconds,
        }
    )


def decode(body: bytes) -> UUID:
    """Decode the body of a message and return the job's id; all else in it is untrusted.

    Raises:
        RefusedMessageError: `encode` did not write this body. SECURITY: other fields that Dramatiq obeys, such as
            options, another queue or an invalid actor, could stop a thread or block the queue.
    """
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedMessageError(f"the body is not JSON: {error}", reason="not_json") from error
    if not isinstance(fields, dict) or fields.keys() != _FIELDS:
        names = ", ".join(sorted(_FIELDS))
        raise RefusedMessageError(f"the body is not an object with exactly the fields {names}", reason="other_fields")
    kind, args = fields["actor_name"], fields["args"]
    if fields["queue_name"] != JOBS_QUEUE or fields["options"] != {} or fields["kwargs"] != {}:
        detail = f"queue_name must be {JOBS_QUEUE!r}, options and kwargs must be empty"
        raise RefusedMessageError(detail, reason="other_queue_or_options")
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise RefusedMessageError("actor_name must be a kind of job, of the form send_email", reason="no_kind")
    job_id = parse_id(args[0]) if isinstance(args, list) and len(args) == 1 and isinstance(args[0], str) else None
    if job_id is None:
        raise RefusedMessageError("args must be the job's id and nothing else", reason="no_job_id")
    return job_id


def priority_of(properties: pika.BasicProperties) -> int:
    """Return a message's priority, limited to 0 to 10."""
    return min(max(properties.priority or 0, 0), HIGHEST_PRIORITY)


def _body(job: Mapping[str, Any]) -> bytes:
    return encode(job["id"], job["kind"], timestamp_milliseconds=int(job["enqueued_at"].timestamp() * 1000))


def _properties(job: Mapping[str, Any], **headers: object) -> pika.BasicProperties:
    trace = {"traceparent": job["traceparent"]} if job["traceparent"] else {}
    return pika.BasicProperties(
        message_id=str(job["id"]),
        content_type="application/json",
        delivery_mode=2,
        priority=job["priority"],
        timestamp=int(job["enqueued_at"].timestamp()),
        type=job["kind"],
        headers={**trace, **headers},
    )
