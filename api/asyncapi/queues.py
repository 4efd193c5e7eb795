"""Queues of RabbitMQ: the exchanges, queues and bindings as the migration declares them, and the messages of jobs."""

from dataclasses import dataclass, field
from typing import Any

from moneyflow.jobs import registry
from moneyflow.platform.brokers.failed_message import FENCE_HEADER
from moneyflow.platform.brokers.rabbitmq import (
    DEAD_EXCHANGE,
    FAILED_QUEUE,
    HIGHEST_PRIORITY,
    JOBS_EXCHANGE,
    JOBS_QUEUE,
    declare_topology,
)

_TEXT = {"type": "string"}
_SERVERS = [{"$ref": "#/servers/rabbitmq"}]
_JOB, _DEAD_JOB = "job", "dead_letter_of_a_job"
_HEADERS = {"traceparent": {**_TEXT, "description": "W3C Trace Context."}}
#: The headers of a job that failed for good; a message that the broker dead-lettered has `x-death` instead.
_DEAD_HEADERS = {
    "x-error-class": {**_TEXT, "description": "The class of the last error."},
    "x-error-message": {**_TEXT, "description": "The last error, without secrets."},
    "x-error-traceback": {**_TEXT, "description": "Its traceback, cut at 8 KiB, without secrets."},
    "x-attempts": {"type": "integer", "description": "Attempts that the job had."},
    "x-failed-at": {"type": "string", "format": "date-time"},
    "x-worker": {**_TEXT, "description": "The worker that ran the last one."},
    FENCE_HEADER: {"type": "integer", "description": "The failure; a move of the message to `jobs` must keep it."},
}


@dataclass
class _Topology:
    """A channel of RabbitMQ that only notes what is declared on it."""

    exchanges: dict[str, dict[str, Any]] = field(default_factory=dict)
    queues: dict[str, dict[str, Any]] = field(default_factory=dict)
    bindings: list[tuple[str, str, str]] = field(default_factory=list)

    def exchange_declare(self, exchange: str, exchange_type: str, *, durable: bool) -> None:
        self.exchanges[exchange] = {"name": exchange, "type": exchange_type, "durable": durable, "autoDelete": False}

    def queue_declare(self, queue: str, *, durable: bool, arguments: dict[str, object]) -> None:
        declared = {"name": queue, "durable": durable, "exclusive": False, "autoDelete": False}
        self.queues[queue] = {**declared, "x-arguments": arguments}

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> None:
        self.bindings.append((queue, exchange, routing_key))


def _topology() -> _Topology:
    topology = _Topology()
    declare_topology(topology)
    return topology


def channels() -> dict[str, Any]:
    """Return a channel for each queue, which names its bindings, and one for each exchange."""
    topology = _topology()
    carries = {JOBS_QUEUE: _JOB, FAILED_QUEUE: _DEAD_JOB, JOBS_EXCHANGE: _JOB, DEAD_EXCHANGE: _DEAD_JOB}
    found = {}
    for name, queue in topology.queues.items():
        bound = [{"exchange": one, "routingKey": key} for of, one, key in topology.bindings if of == name]
        found[f"queue.{name}"] = {**_channel(name, carries[name]), "x-bindings": bound}
        found[f"queue.{name}"]["bindings"] = {"amqp": {"is": "queue", "queue": queue}}
    for name, exchange in topology.exchanges.items():
        keys = [key for _, one, key in topology.bindings if one == name]
        found[f"exchange.{name}"] = _channel(keys[0] or None, carries[name])
        found[f"exchange.{name}"]["bindings"] = {"amqp": {"is": "routingKey", "exchange": exchange}}
    return found


def operations() -> dict[str, Any]:
    """Return what the relay sends, and what workers and operators receive."""
    persistent = {"bindings": {"amqp": {"deliveryMode": 2, "mandatory": True, "timestamp": True}}}
    acked = {"bindings": {"amqp": {"ack": True}}}
    return {
        "send.jobs": {
            "action": "send", "channel": {"$ref": f"#/channels/exchange.{JOBS_EXCHANGE}"},
            "summary": "The relay sends a job that is due, with a confirm.", **persistent,
        },
        "receive.jobs": {
            "action": "receive", "channel": {"$ref": f"#/channels/queue.{JOBS_QUEUE}"},
            "summary": "A worker runs the job, and then acks.", **acked,
        },
        "send.jobs_failed": {
            "action": "send", "channel": {"$ref": f"#/channels/exchange.{DEAD_EXCHANGE}"},
            "summary": "The relay sends a job that failed for good, with its reason.", **persistent,
        },
        "receive.jobs_failed": {
            "action": "receive", "channel": {"$ref": f"#/channels/queue.{FAILED_QUEUE}"},
            "summary": "Operators look, and move messages back to `jobs`, which replays each job once.", **acked,
        },
    }  # fmt: skip


def messages() -> dict[str, Any]:
    """Return the message of a job, and its dead letter."""
    shared = {"contentType": "application/json", "payload": {"$ref": "#/components/schemas/job_message"}}
    return {
        _JOB: {
            "name": _JOB,
            "title": "A job that is due",
            "description": (
                "A Dramatiq message with the id of the job alone: its payload is in Postgres, and its schema at "
                f"`/schemas/<kind>/<version>`. `message_id` is the id, `type` the kind, `priority` 0 to "
                f"{HIGHEST_PRIORITY}."
            ),
            "headers": {"type": "object", "properties": _HEADERS},
            **shared,
        },
        _DEAD_JOB: {
            "name": _DEAD_JOB,
            "title": "A job that failed for good, or a message that is no job",
            "headers": {"type": "object", "properties": {**_HEADERS, **_DEAD_HEADERS}},
            **shared,
        },
    }


def schemas() -> dict[str, Any]:
    """Return the body of a job's message."""
    job_id = {"type": "string", "format": "uuid"}
    properties = {
        "queue_name": {"const": JOBS_QUEUE},
        "actor_name": {"enum": sorted(registry), "description": "The kind of the job."},
        "args": {"type": "array", "items": job_id, "minItems": 1, "maxItems": 1, "description": "The id of the job."},
        "kwargs": {"type": "object", "maxProperties": 0},
        "options": {"type": "object", "maxProperties": 0},
        "message_id": job_id,
        "message_timestamp": {"type": "integer", "description": "When the job was enqueued, in milliseconds."},
    }
    return {
        "job_message": {
            "type": "object", "properties": properties, "required": list(properties), "additionalProperties": False,
        }
    }  # fmt: skip


def _channel(address: str | None, message: str) -> dict[str, Any]:
    return {
        "address": address, "servers": _SERVERS, "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }  # fmt: skip
