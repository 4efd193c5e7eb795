"""RabbitMQ: a node with its own name, cookie and epmd, and the application's vhost and user."""

import base64
import hashlib
import json
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence

import pika
import pika.exceptions

from ops.dev.stack.contract import NOT_RUNNING, Status
from ops.dev.stack.home import kept_process, write_private
from ops.dev.stack.ports import answers
from ops.dev.stack.processes import Identity, spawn, wait_until
from ops.dev.stack.servers.base import Server

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
_USER, _VHOST = "app", "money_flow"
_PLUGINS = "[rabbitmq_management,rabbitmq_prometheus,rabbitmq_shovel,rabbitmq_shovel_management]."


class RabbitMQ(Server):
    """A RabbitMQ with management, Prometheus and shovel."""

    name = "rabbitmq"
    ports = ("", "management", "prometheus", "dist", "epmd")

    def command(self) -> Sequence[str]:
        """Run the program itself; Debian's wrapper in /usr/sbin changes the user."""
        return [_SERVER]

    def environment(self) -> Mapping[str, str]:
        """Return the environment that separates this node from other nodes of the machine."""
        return {
            **super().environment(),
            # The script then becomes the node, which stops by SIGTERM. Without it the script would wait for the node,
            # and the pid of what was started would not be that of RabbitMQ.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"{self._node}@localhost",
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.port("dist")),
            "ERL_EPMD_PORT": str(self.port("epmd")),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def prepare(self) -> None:
        """Write configuration and definitions, and start the node's own epmd."""
        self._write_configuration()
        self._start_epmd()

    def start(self) -> None:
        """Start the node, and its epmd also next to a node that runs."""
        super().start()
        self._start_epmd()

    def statuses(self) -> list[Status]:
        """Return the status of the node and of its epmd, without which `rabbitmqctl` does not find the node."""
        epmd, kept = self.epmd(), self.state.value("ports", self._key("epmd"))
        where = f"pid {epmd.pid if epmd else '-'}, 127.0.0.1:{kept or '-'}"
        return [*super().statuses(), Status("epmd", where, None if epmd else NOT_RUNNING)]

    def _write_configuration(self) -> None:
        for name, text in (
            ("rabbitmq.conf", self._configuration()),
            ("advanced.config", "[].\n"),
            ("enabled_plugins", _PLUGINS),
            ("definitions.json", json.dumps(self._definitions())),
        ):
            write_private(self.folder / name, text)

    def _start_epmd(self) -> None:
        if self.epmd() is not None:
            return
        epmd = spawn(
            ["epmd", "-port", str(self.port("epmd")), "-address", "127.0.0.1"],
            environment=super().environment(), log=self.log, folder=self.folder,
        )  # fmt: skip
        self.state.change("pids", "epmd", (epmd.pid, epmd.started))
        wait_until(lambda: answers(self.port("epmd")), seconds=5)

    def is_ready(self) -> bool:
        """Return whether the application can connect."""
        if not answers(self.port()):
            return False
        credentials = pika.PlainCredentials(_USER, self.state.secret("rabbitmq"))
        parameters = pika.ConnectionParameters(
            "127.0.0.1", self.port(), _VHOST, credentials, socket_timeout=2, stack_timeout=3, connection_attempts=1
        )
        try:
            pika.BlockingConnection(parameters).close()
        except (pika.exceptions.AMQPError, OSError):
            return False
        return answers(self.port("management"))

    def stop(self) -> None:
        """Stop the node, then its epmd."""
        super().stop()
        self._end_epmd()

    def kill(self) -> None:
        """Kill the node and its epmd."""
        super().kill()
        self._end_epmd()

    def settings(self) -> dict[str, str]:
        """Return address and login."""
        return {
            "RABBITMQ_HOST": "127.0.0.1",
            "RABBITMQ_PORT": str(self.port()),
            "RABBITMQ_MANAGEMENT_PORT": str(self.port("management")),
            "RABBITMQ_USER": _USER,
            "RABBITMQ_PASSWORD": self.state.secret("rabbitmq"),
            "RABBITMQ_VHOST": _VHOST,
        }

    def control(self, arguments: Sequence[str]) -> int:
        """Run `rabbitmqctl` on this node and return its exit code."""
        command = [_CONTROL, *arguments]
        return subprocess.run(command, env=dict(self.environment()), cwd=self.folder, check=False).returncode

    @property
    def _node(self) -> str:
        return "money_flow_" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]

    def epmd(self) -> Identity | None:
        """Return the identity of its epmd, by which its command line finds it; None when that does not run."""
        return kept_process(self.state, "epmd")

    def runs(self) -> bool:
        """Return whether the node or its epmd runs."""
        return super().runs() or self.epmd() is not None

    def _end_epmd(self) -> None:
        epmd = self.epmd()
        if epmd:
            epmd.signal(signal.SIGTERM)
            epmd.wait_gone(5)
        self.state.change("pids", "epmd", None)

    def _configuration(self) -> str:
        return (
            f"listeners.tcp.1 = 127.0.0.1:{self.port()}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.port('management')}\n"
            f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.port('prometheus')}\n"
            f"load_definitions = {self.folder / 'definitions.json'}\n"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 200MB\n"
        )

    def _definitions(self) -> dict[str, object]:
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        return {
            "users": [{"name": _USER, "password_hash": _hash(self.state.secret("rabbitmq")),
                       "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": "administrator"}],
            "vhosts": [{"name": _VHOST}],
            "permissions": [{"user": _USER, "vhost": _VHOST, **everything}],
        }  # fmt: skip


def _hash(password: str) -> str:
    """Hash a password as RabbitMQ does: a salt of four bytes, then SHA-256 over salt and password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
