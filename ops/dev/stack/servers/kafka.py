"""Apache Kafka: one KRaft node, broker and controller in one process, with logins and without automatic topics."""

import asyncio
import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from moneyflow.platform.brokers.kafka import SASL_MECHANISM, client_options
from moneyflow.settings import KafkaUsersSettings, load
from ops.dev.stack.contract import StackError
from ops.dev.stack.home import write_private
from ops.dev.stack.packages import kafka_classpath
from ops.dev.stack.ports import answers
from ops.dev.stack.processes import UMASK, open_log
from ops.dev.stack.servers.base import Server
from ops.kafka_users import create_users

#: The user of the node itself, on its own listener and between brokers.
_BROKER = "broker"
#: Marks a storage that was formatted with users.
_USERS_MADE = "users-made"
#: The users that exist before the first start of the node; `after_ready` makes the others.
_FIRST = ("migrate", _BROKER)


class Kafka(Server):
    """A Kafka of one node: a user for each process, and no right that the migration has not granted."""

    name = "kafka"
    ports: ClassVar[tuple[str, ...]] = ("", "controller")

    def command(self) -> Sequence[str]:
        """Run Kafka's main class."""
        return [*self._java("-Xms128m", "-Xmx384m"), "kafka.Kafka", str(self.folder / "server.properties")]

    def environment(self) -> Mapping[str, str]:
        """Return the environment with JAVA_HOME, if it is set."""
        java_home = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
        return {**super().environment(), **java_home}

    def prepare(self) -> None:
        """Write the configuration, and format the log folder at the first start."""
        write_private(self.folder / "server.properties", self._configuration())
        if (self.folder / "data" / "meta.properties").exists():
            if not (self.folder / _USERS_MADE).exists():
                raise StackError("Kafka's data is of an older version, without users; delete it by `make reset`.")
            return
        # In a file: every user of the machine can read a process's arguments.
        users = [f"--add-scram={SASL_MECHANISM}=[name={name},password={self._password(name)}]" for name in _FIRST]
        arguments = ["format", f"--cluster-id={_new_cluster_id()}", f"--config={self.folder / 'server.properties'}",
                     "--ignore-formatted", *users]  # fmt: skip
        write_private(self.folder / "format.arguments", "\n".join(arguments))
        write_private(self.folder / _USERS_MADE, "")
        with open_log(self.log) as output:
            subprocess.run(
                [*self._java("-Xmx128m"), "kafka.tools.StorageTool", f"@{self.folder / 'format.arguments'}"],
                check=True, env=dict(self.environment()), stdout=output, stderr=output, cwd=self.folder, umask=UMASK,
            )  # fmt: skip
        (self.folder / "format.arguments").unlink()

    def is_ready(self) -> bool:
        """Return whether it lists its topics."""
        return answers(self.port()) and asyncio.run(_lists_topics(self._users()))

    def after_ready(self) -> None:
        """Create the users of the processes, as `python -m ops.kafka_users` does."""
        create_users(self._users())

    def settings(self) -> dict[str, str]:
        """Return address and logins."""
        found = {"KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(self.port())}
        for login in KafkaUsersSettings.kafka_logins:
            found |= {f"KAFKA_{login.upper()}_USER": login, f"KAFKA_{login.upper()}_PASSWORD": self._password(login)}
        return found

    def _users(self) -> KafkaUsersSettings:
        return load(KafkaUsersSettings, self.settings())

    def _password(self, login: str) -> str:
        return self.state.secret(f"kafka_{login}")

    def _java(self, *memory: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", quiet, "-cp", kafka_classpath()]

    def _configuration(self) -> str:
        return "\n".join(
            (
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@127.0.0.1:{self.port('controller')}",
                f"listeners=CLIENTS://127.0.0.1:{self.port()},CONTROLLER://127.0.0.1:{self.port('controller')}",
                f"advertised.listeners=CLIENTS://127.0.0.1:{self.port()}",
                "listener.security.protocol.map=CLIENTS:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT",
                "controller.listener.names=CONTROLLER",
                "inter.broker.listener.name=CLIENTS",
                f"sasl.enabled.mechanisms={SASL_MECHANISM}",
                f"sasl.mechanism.inter.broker.protocol={SASL_MECHANISM}",
                self._jaas_of("clients"),
                # The controller cannot look up SCRAM users before it runs.
                "sasl.mechanism.controller.protocol=PLAIN",
                "listener.name.controller.sasl.enabled.mechanisms=PLAIN",
                self._jaas_of_controller(),
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                f"super.users=User:{_BROKER};User:migrate",
                f"log.dirs={self.folder / 'data'}",
                "auto.create.topics.enable=false",
                "default.replication.factor=1",
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=3",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1",
                "transaction.state.log.num.partitions=3",
                "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1",
                "group.initial.rebalance.delay.ms=0",
                "",
            )
        )

    def _jaas_of(self, listener: str) -> str:
        """Return the line of the configuration by which a listener takes the logins of clients."""
        return f"listener.name.{listener}.{SASL_MECHANISM.lower()}.sasl.jaas.config={self._jaas('scram.Scram')};"

    def _jaas_of_controller(self) -> str:
        users = f'user_{_BROKER}="{self._password(_BROKER)}"'
        return f"listener.name.controller.plain.sasl.jaas.config={self._jaas('plain.Plain')} {users};"

    def _jaas(self, module: str) -> str:
        return (
            f"org.apache.kafka.common.security.{module}LoginModule required "
            f'username="{_BROKER}" password="{self._password(_BROKER)}"'
        )


def _new_cluster_id() -> str:
    """Return a new id in Kafka's format: 16 bytes in URL-safe base64, without the padding."""
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


async def _lists_topics(settings: KafkaUsersSettings) -> bool:
    admin = AIOKafkaAdminClient(**client_options(settings, "migrate"), request_timeout_ms=3000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True
