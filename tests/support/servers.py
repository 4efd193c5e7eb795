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

from ops.dev.stack import packages
from ops.dev.stack.home import State
from ops.dev.stack.servers import Kafka, Mail, Postgres, RabbitMQ, Redis, Server
from tests.support.proxy import Proxies


class ProxiedKafka(Kafka):
    """A Kafka that can be reached through a proxy too.

    Its clients go where it says that it is, so what listens behind the proxy must say the proxy's address.
    """

    def __init__(self, state: State, proxies: Proxies) -> None:
        super().__init__(state)
        self.proxy = proxies.to(lambda: self.port("proxied"))

    def _configuration(self) -> str:
        lines = super()._configuration().splitlines()
        also = {
            "listeners": f",PROXIED://127.0.0.1:{self.port('proxied')}",
            "advertised.listeners": f",PROXIED://127.0.0.1:{self.proxy.port}",
        }
        return "\n".join(
            (
                *(line + also.get(line.partition("=")[0], "") for line in lines),
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT",
                "inter.broker.listener.name=PLAINTEXT",
                "",
            )
        )


@dataclass(frozen=True)
class RealServers:
    """Running servers; each can be stopped, killed and started again by a test."""

    postgres: Postgres
    rabbitmq: RabbitMQ
    kafka: ProxiedKafka
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
    proxies = Proxies()
    kafka = ProxiedKafka(state, proxies)
    servers = RealServers(Postgres(state), RabbitMQ(state), kafka, Redis(state), Mail(state), folder)
    # A test run that is killed runs nothing of the below; the guardian does it for it.
    guardian = subprocess.Popen([sys.executable, "-m", "ops.dev.stack.guardian", str(os.getpid()), str(folder)])
    atexit.register(_end, servers)
    try:
        for server in servers.all():
            server.start()
        for server in servers.all():
            server.wait_ready()
        yield servers
    finally:
        _end(servers)
        proxies.close()
        atexit.unregister(_end)
        guardian.kill()
        guardian.wait()


def _end(servers: RealServers) -> None:
    for server in servers.all():
        server.kill()
    shutil.rmtree(servers.folder, ignore_errors=True)
