"""The places where the product could keep what it should not: each is read whole, as bytes, to be searched."""

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from moneyflow.events import event_topics
from moneyflow.platform.brokers import rabbitmq
from moneyflow.platform.brokers.redis import client_options
from moneyflow.settings import AllSettings
from ops.dev.stack.packages import postgres_binaries
from tests.support import kafka_records, rabbitmq_admin
from tests.support.processes import Process
from tests.support.servers import RealServers

#: A queue that gets a copy of every message that goes to `jobs` or `jobs_failed`, whatever becomes of the message.
TAP = "tap"
_SERVERS_WITH_LOGS = ("postgres", "rabbitmq", "kafka", "redis", "mail")


def tap_queues(servers: RealServers, settings: AllSettings) -> None:
    """Declare the queue with the copies; before the first message is published."""
    vhost = settings.rabbitmq_vhost
    rabbitmq_admin.declare_queue(servers, vhost, TAP, {})
    for exchange in (rabbitmq.JOBS_EXCHANGE, rabbitmq.DEAD_EXCHANGE):
        rabbitmq_admin.bind_queue(servers, vhost, TAP, exchange=exchange, routing_key=rabbitmq.JOBS_QUEUE)


@dataclass(frozen=True)
class Places:
    """Everything that the processes of one test leave; `folders` are those that they write files to."""

    servers: RealServers
    settings: AllSettings
    processes: Sequence[Process]
    folders: Sequence[Path]

    def all(self) -> Mapping[str, Callable[[], bytes]]:
        """Return how each place is read."""
        return {
            "database": self._database,
            "queues": lambda: self._queue(TAP),
            "dead letters": lambda: self._queue(rabbitmq.FAILED_QUEUE),
            "topics": self._topics,
            "Redis": self._redis,
            "logs of the processes": lambda: _joined(process.log_path for process in self.processes),
            "logs of the servers": lambda: _joined(self._server_logs()),
            "metrics": self._metrics,
            "files": lambda: _joined(path for folder in self.folders for path in folder.rglob("*") if path.is_file()),
        }

    def find(self, secrets: Mapping[str, str]) -> list[str]:
        """Return each secret that is in a place, in any encoding of it, with the name of the place."""
        found = []
        for place, read in self.all().items():
            content = read()
            found += [f"{name} in {place}" for name, secret in secrets.items() if any(_forms(secret, content))]
        return found

    def _database(self) -> bytes:
        """Return all tables; a column of bytes is written in hexadecimal digits."""
        environment = {**os.environ, "PGPASSWORD": self.servers.postgres.state.secret("postgres")}
        command = [str(postgres_binaries() / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.servers.postgres.port()),
                   "-U", "postgres", self.settings.postgres_db]  # fmt: skip
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    def _queue(self, queue: str) -> bytes:
        """Return the messages with their properties and headers, and leave them where they are."""
        messages = rabbitmq_admin.take_messages(
            self.servers, self.settings.rabbitmq_vhost, queue, count=10_000, requeue=True
        )
        return "\n".join(_decoded(message) for message in messages).encode()

    def _topics(self) -> bytes:
        records = [record for topic in event_topics() for record in kafka_records.everything_in(self.settings, topic)]
        return repr([(record.key, record.value, record.headers) for record in records]).encode()

    def _redis(self) -> bytes:
        """Return every key with its value, and the file of all commands that have written something."""
        client = redis.Redis(**client_options(self.settings))
        values = [repr((key, _value(client, key))) for key in client.scan_iter(count=1000)]
        client.close()
        return "\n".join(values).encode() + _joined((self.servers.folder / "redis").rglob("*.aof"))

    def _server_logs(self) -> Iterator[Path]:
        return (self.servers.folder / "logs" / f"{name}.log" for name in _SERVERS_WITH_LOGS)

    def _metrics(self) -> bytes:
        return "\n".join(process.get("/metrics").text for process in self.processes if process.is_running()).encode()


def _forms(secret: str, content: bytes) -> Iterator[bool]:
    raw = secret.encode()
    for form in (raw, raw.hex().encode(), *_in_base64(raw)):
        yield form in content


def _in_base64(raw: bytes) -> Iterator[bytes]:
    """Yield what of the secret is the same in the base64 of every text that has it, by its offset there."""
    for offset in range(3):
        padded = base64.b64encode(bytes(offset) + raw)
        yield padded[4 if offset else 0 : len(padded) // 4 * 4 - 4]


def _decoded(message: Mapping[str, object]) -> str:
    body = message["payload"]
    if message["payload_encoding"] == "base64":
        body = base64.b64decode(str(body)).decode(errors="replace")
    return f"{body} {json.dumps(message['properties'])}"


def _value(client: "redis.Redis", key: bytes) -> object:
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case other:
            return other


def _joined(paths: Iterable[Path]) -> bytes:
    return b"\n".join(path.read_bytes() for path in paths if path.exists())
