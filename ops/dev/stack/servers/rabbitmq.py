"""RabbitMQ: a node with its own name, cookie and epmd, the application's vhost, and a user for each process."""

import base64
import hashlib
import json
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pika
import pika.exceptions

from ops.dev.stack.contract import NOT_RUNNING, Status
from ops.dev.stack.home import CHECKOUT, kept_process, write_private
from ops.dev.stack.ports import answers
from ops.dev.stack.processes import Identity, spawn, wait_until
from ops.dev.stack.servers.base import Server

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"
_VHOST = "money_flow"
_TEMPLATE = CHECKOUT / "ops" / "docker" / "rabbitmq" / "definitions.json.template"
#: Each login, and the name of its secret in the state.
LOGINS = {
    "operator": "rabbitmq",
    "migrate": "rabbitmq_migrate",
    "relay": "rabbitmq_relay",
    "worker": "rabbitmq_worker",
}
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
        credentials = pika.PlainCredentials("operator", self.state.secret(LOGINS["operator"]))
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
        """Return address and logins."""
        return self._logins() | {
            "RABBITMQ_HOST": "127.0.0.1",
            "RABBITMQ_PORT": str(self.port()),
            "RABBITMQ_MANAGEMENT_PORT": str(self.port("management")),
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

    def _logins(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for login, secret in LOGINS.items():
            prefix = "RABBITMQ" if login == "operator" else f"RABBITMQ_{login.upper()}"
            found |= {f"{prefix}_USER": login, f"{prefix}_PASSWORD": self.state.secret(secret)}
        return found

    def _definitions(self) -> dict[str, Any]:
        """Return what RabbitMQ creates when it starts, where it is missing."""
        return definitions(_VHOST, {login: self.state.secret(secret) for login, secret in LOGINS.items()})


class OpenRabbitMQ(RabbitMQ):
    """A RabbitMQ with an administrator, for tests and benchmarks, which make vhosts and queues of their own."""

    def administrator(self) -> tuple[str, str]:
        """Return user and password of the administrator, who may do everything in the application's vhost too."""
        return "administrator", self.state.secret("rabbitmq_administrator")

    def _definitions(self) -> dict[str, Any]:
        found = super()._definitions()
        user, password = self.administrator()
        found["users"].append({**found["users"][0], "name": user, "password_hash": _hash(password),
                               "tags": "administrator"})  # fmt: skip
        found["permissions"].append({"vhost": _VHOST, "user": user, "configure": ".*", "write": ".*", "read": ".*"})
        return found


def definitions(vhost: str, passwords: Mapping[str, str]) -> dict[str, Any]:
    """Return RabbitMQ's definitions: users named as their logins, the vhost, permissions, exchanges and queues."""
    text = _TEMPLATE.read_text(encoding="utf-8").replace("@VHOST@", vhost)
    for login, password in passwords.items():
        text = text.replace(f"@{login.upper()}_USER@", login).replace(f"@{login.upper()}_HASH@", _hash(password))
    found: dict[str, Any] = json.loads(text)
    return found


def _hash(password: str) -> str:
    """Hash a password as RabbitMQ does: a salt of four bytes, then SHA-256 over salt and password."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
