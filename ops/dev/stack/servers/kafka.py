"""Apache Kafka: one KRaft node, broker and controller in one process, without automatic topics."""

import asyncio
import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import ClassVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ops.dev.stack.home import write_private
from ops.dev.stack.packages import kafka_classpath
from ops.dev.stack.ports import answers
from ops.dev.stack.processes import UMASK, open_log
from ops.dev.stack.servers.base import Server


class Kafka(Server):
    """A Kafka of one node."""

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
            return
        with open_log(self.log) as output:
            subprocess.run(
                [*self._java("-Xmx128m"), "kafka.tools.StorageTool", "format", f"--cluster-id={_new_cluster_id()}",
                 "-c", str(self.folder / "server.properties"), "--ignore-formatted"],
                check=True, env=dict(self.environment()), stdout=output, stderr=output, cwd=self.folder, umask=UMASK,
            )  # fmt: skip

    def is_ready(self) -> bool:
        """Return whether it lists its topics."""
        return answers(self.port()) and asyncio.run(_lists_topics(f"127.0.0.1:{self.port()}"))

    def settings(self) -> dict[str, str]:
        """Return the address."""
        return {"KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(self.port())}

    def _java(self, *memory: str) -> list[str]:
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", quiet, "-cp", kafka_classpath()]

    def _configuration(self) -> str:
        return "\n".join(
            (
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@127.0.0.1:{self.port('controller')}",
                f"listeners=PLAINTEXT://127.0.0.1:{self.port()},CONTROLLER://127.0.0.1:{self.port('controller')}",
                f"advertised.listeners=PLAINTEXT://127.0.0.1:{self.port()}",
                "controller.listener.names=CONTROLLER",
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


def _new_cluster_id() -> str:
    """Return a new id in Kafka's format: 16 bytes in URL-safe base64, without the padding."""
    return urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


async def _lists_topics(address: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=address, request_timeout_ms=3000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return True
