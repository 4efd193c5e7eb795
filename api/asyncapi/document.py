"""The document: the servers, and the channels, operations and messages of Kafka and RabbitMQ."""

from typing import Any

from api.asyncapi import queues, topics

_ASYNCAPI = "3.0.0"
_INFORMATION = {
    "title": "Money Flow",
    "version": "1",
    "description": (
        "Facts are events on Kafka, of which any consumer may have a group of its own; work is jobs on RabbitMQ, which "
        "the workers of Money Flow run. Postgres decides, the brokers carry: each message is delivered at least once, "
        "and its id is the key by which a repeated one is known. The HTTP API is in `/openapi.json`."
    ),
}


def _server(protocol: str, *, host: str, port: str, name: str) -> dict[str, Any]:
    """Return a server whose address each installation sets."""
    variables = {
        "host": {"default": host, "description": f"{name}_HOST"},
        "port": {"default": port, "description": f"{name}_PORT"},
    }
    return {"host": "{host}:{port}", "protocol": protocol, "variables": variables}


def document() -> dict[str, Any]:
    """Return the AsyncAPI document of what Money Flow sends and receives."""
    events = topics.published_events()
    return {
        "asyncapi": _ASYNCAPI,
        "info": _INFORMATION,
        "defaultContentType": "application/json",
        "servers": {
            "kafka": _server("kafka", host="localhost", port="9092", name="KAFKA"),
            "rabbitmq": _server("amqp", host="localhost", port="5672", name="RABBITMQ"),
        },
        "channels": topics.channels(events) | queues.channels(),
        "operations": topics.operations() | queues.operations(),
        "components": {
            "messages": topics.messages(events) | queues.messages(),
            "schemas": topics.schemas(events) | queues.schemas(),
        },
    }
