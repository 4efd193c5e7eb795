"""The real servers for one run of the tests: own folder, free ports, gone afterwards whatever happens."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from ops.stack import packages
from ops.stack.home import State
from ops.stack.servers import Kafka, Mail, Postgres, RabbitMQ, Redis, Server


@dataclass(frozen=True)
class RealServers:
    """Running servers; each can be stopped, killed and started again by a test."""

    postgres: Postgres
    rabbitmq: RabbitMQ
    kafka: Kafka
    redis: Redis
    mail: Mail
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the settings by which the application finds them."""
        found: dict[str, str] = {"BUILD_ENV": "dev", "SECRET_KEY": "a key for tests, of more than 32 characters"}
        for server in self.all():
            found |= server.settings()
        return found | {"BIND_HOST": "127.0.0.1", "APP_URL": "https://money-flow.example"}

    def all(self) -> tuple[Server, ...]:
        """Return every server."""
        return (self.postgres, self.rabbitmq, self.kafka, self.redis, self.mail)


@contextmanager
def real_servers() -> Iterator[RealServers]:
    """Install what is missing, start every server side by side, and end them however the tests end."""
    packages.ensure(Console(stderr=True))
    folder = Path(tempfile.mkdtemp(prefix="money-flow-tests-", dir="/var/tmp"))
    folder.chmod(0o711)  # PostgreSQL's own user must pass through.
    state = State(folder)
    servers = RealServers(Postgres(state), RabbitMQ(state), Kafka(state), Redis(state), Mail(state), folder)
    # A test run that is killed runs nothing of the below; the guardian does it for it.
    guardian = subprocess.Popen([sys.executable, "-m", "tests.support.guardian", str(os.getpid()), str(folder)])
    atexit.register(_end, servers)
    try:
        for server in servers.all():
            server.start()
        for server in servers.all():
            server.wait_ready()
        yield servers
    finally:
        _end(servers)
        atexit.unregister(_end)
        guardian.kill()
        guardian.wait()


def _end(servers: RealServers) -> None:
    for server in servers.all():
        server.kill()
    shutil.rmtree(servers.folder, ignore_errors=True)
