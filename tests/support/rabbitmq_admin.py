"""What tests ask RabbitMQ's management API for: vhosts, messages, closing connections."""

from typing import Any

import httpx
import pika
import pika.exceptions

from moneyflow.platform.brokers import rabbitmq
from moneyflow.settings import AllSettings
from ops.dev.stack.servers.rabbitmq import LOGINS, definitions
from tests.support.servers import RealServers


def _client(servers: RealServers) -> httpx.Client:
    environment = servers.environment
    return httpx.Client(
        base_url=f"http://127.0.0.1:{environment['RABBITMQ_MANAGEMENT_PORT']}/api",
        auth=servers.rabbitmq.administrator(),
        timeout=15,
        trust_env=False,
        verify=False,  # PERF: over HTTP there is nothing to verify, and reading the authorities takes 15 ms.
    )


def create_vhost(servers: RealServers, name: str, *, with_queues: bool = False) -> None:
    """Make a vhost in which each user has its rights; `with_queues` as a server that starts without its data does."""
    parts = ("vhosts", "permissions", *(("exchanges", "queues", "bindings") if with_queues else ()))
    whole = definitions(name, dict.fromkeys(LOGINS, ""))
    made = {part: whole[part] for part in parts}
    made["permissions"].append({"vhost": name, "user": servers.rabbitmq.administrator()[0],
                                "configure": ".*", "write": ".*", "read": ".*"})  # fmt: skip
    with _client(servers) as client:
        client.post("/definitions", json=made).raise_for_status()


def take_rights(servers: RealServers, vhost: str) -> None:
    """Take all rights in a vhost from each user; `create_vhost` gives them back."""
    with _client(servers) as client:
        for user in LOGINS:
            rights = {"configure": "^$", "write": "^$", "read": "^$"}
            client.put(f"/permissions/{vhost}/{user}", json=rights).raise_for_status()


def delete_vhost(servers: RealServers, name: str) -> None:
    """Drop a vhost; one that is not there is no error."""
    with _client(servers) as client:
        client.delete(f"/vhosts/{name}")


def connection_names(servers: RealServers, vhost: str) -> list[str]:
    """Return the open connections of a vhost."""
    with _client(servers) as client:
        rows = client.get(f"/vhosts/{vhost}/connections").raise_for_status().json()
    return [row["name"] for row in rows]


def close_connections(servers: RealServers, vhost: str) -> int:
    """Cut every connection of a vhost, from the server's side; return how many there were."""
    names = connection_names(servers, vhost)
    with _client(servers) as client:
        for name in names:
            client.delete(f"/connections/{name}")
    return len(names)


def take_messages(
    servers: RealServers, vhost: str, queue: str, count: int = 100, *, requeue: bool = False
) -> list[dict[str, Any]]:
    """Take messages off a queue, with their properties and headers; `requeue` puts them back."""
    request = {"count": count, "ackmode": f"ack_requeue_{str(requeue).lower()}", "encoding": "auto"}
    with _client(servers) as client:
        answer = client.post(f"/queues/{vhost}/{queue}/get", json=request).raise_for_status()
    messages: list[dict[str, Any]] = answer.json()
    return messages


def topology(servers: RealServers, vhost: str) -> dict[str, dict[str, Any]]:
    """Return what was declared in a vhost: its queues, exchanges and bindings with all that makes them."""
    with _client(servers) as client:
        parts = {
            part: client.get(f"/{part}/{vhost}").raise_for_status().json()
            for part in ("queues", "exchanges", "bindings")
        }
    kept = ("durable", "auto_delete", "type", "arguments")
    found = {f"queue {row['name']}": {key: row[key] for key in kept} for row in parts["queues"]}
    for row in parts["exchanges"]:
        if row["name"] and not row["name"].startswith("amq."):
            found[f"exchange {row['name']}"] = {key: row[key] for key in kept}
    for row in parts["bindings"]:
        if row["source"]:
            name = f"binding {row['source']} -> {row['destination']}"
            found[name] = {key: row[key] for key in ("routing_key", "arguments")}
    return found


def declare_queue(servers: RealServers, vhost: str, queue: str, arguments: dict[str, Any]) -> None:
    """Declare a durable queue as another program would."""
    with _client(servers) as client:
        request = {"durable": True, "auto_delete": False, "arguments": arguments}
        client.put(f"/queues/{vhost}/{queue}", json=request).raise_for_status()


def bind_queue(servers: RealServers, vhost: str, queue: str, *, exchange: str, routing_key: str = "") -> None:
    """Have a queue get what is published to an exchange with this key."""
    with _client(servers) as client:
        request = {"routing_key": routing_key, "arguments": {}}
        client.post(f"/bindings/{vhost}/e/{exchange}/q/{queue}", json=request).raise_for_status()


def delete_queue(servers: RealServers, vhost: str, queue: str) -> None:
    """Delete a queue with all its messages."""
    with _client(servers) as client:
        client.delete(f"/queues/{vhost}/{queue}").raise_for_status()


def purge_queue(servers: RealServers, vhost: str, queue: str) -> None:
    """Delete all ready messages of a queue; one that was deleted and not declared again has none."""
    with _client(servers) as client:
        answer = client.delete(f"/queues/{vhost}/{queue}/contents")
    if answer.status_code != httpx.codes.NOT_FOUND:
        answer.raise_for_status()


def publish(
    servers: RealServers, vhost: str, payload: str, properties: dict[str, Any], *, exchange: str = "jobs"
) -> bool:
    """Publish as a foreign tool does; return whether it was routed to a queue."""
    request = {"routing_key": "jobs", "payload": payload, "payload_encoding": "string", "properties": properties}
    with _client(servers) as client:
        answer = client.post(f"/exchanges/{vhost}/{exchange}/publish", json=request).raise_for_status()
    return bool(answer.json()["routed"])


def ready(settings: AllSettings, queue: str) -> int:
    """Return how many messages are ready in a queue, asked of the queue itself; -1 when there is no such queue."""
    connection = pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="migrate", name="test"))
    try:
        count: int = connection.channel().queue_declare(queue, passive=True).method.message_count
    except pika.exceptions.ChannelClosedByBroker:
        return -1
    finally:
        connection.close()
    return count


def double(settings: AllSettings, queue: str) -> int:
    """Publish all ready messages of a queue once more, after themselves; return how many messages that is."""
    connection = pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="migrate", name="test"))
    try:
        channel = connection.channel()
        count: int = channel.queue_declare(queue, passive=True).method.message_count
        taken = [message for message in (channel.basic_get(queue) for _ in range(count)) if message[0] is not None]
        for _, properties, body in taken * 2:
            channel.basic_publish(queue, queue, body, properties)
        for method, _, _ in taken:
            channel.basic_ack(method.delivery_tag)
    finally:
        connection.close()
    return len(taken)


def move(settings: AllSettings, source: str, target: str, *, copies: int = 1) -> int:
    """Move all messages of a queue to another, bytes, properties and headers as they are, as a shovel does."""
    connection = pika.BlockingConnection(rabbitmq.connection_parameters(settings, login="migrate", name="test"))
    moved = 0
    try:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(source)
            if method is None:
                return moved
            for _ in range(copies):
                channel.basic_publish(target, target, body, properties)
            channel.basic_ack(method.delivery_tag)
            moved += 1
    finally:
        connection.close()
