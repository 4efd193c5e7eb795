"""Kafka: how clients log in, and the creation of the topics, in a migration only; brokers create none automatically."""

import asyncio
import ssl
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError, TopicAlreadyExistsError, for_code

from moneyflow.platform.events.topics import DEAD_LETTER, all_topics
from moneyflow.platform.settings import KafkaSettings

#: Bytes: a record of Kafka's default maximum, and the headers that say why it was refused.
MAX_DEAD_LETTER_BYTES = 2 * 1024 * 1024

#: How every client proves its password; Kafka keeps a salted hash of it.
SASL_MECHANISM = "SCRAM-SHA-512"

_MILLISECONDS_PER_HOUR = 3_600_000
#: Seconds between questions for a group that Kafka cannot answer yet.
_COORDINATOR_SECONDS = 0.1


def client_options(settings: KafkaSettings, login: str) -> dict[str, Any]:
    """Return the options by which every client of aiokafka connects as one of the process's logins."""
    user, password = settings.kafka_login(login)
    tls = ssl.create_default_context(cafile=settings.ca_file) if settings.kafka_tls else None
    return {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
        "ssl_context": tls,
        "sasl_mechanism": SASL_MECHANISM,
        "sasl_plain_username": user,
        "sasl_plain_password": password,
    }


def topic_name(settings: KafkaSettings, topic: str) -> str:
    """Return the topic's name on this cluster; a prefix separates installations that share one."""
    return settings.kafka_topic_prefix + topic


def group_prefix(settings: KafkaSettings) -> str:
    """Return the beginning of the names of our consumer groups, which the sink's name follows."""
    return f"{settings.kafka_topic_prefix}money-flow."


async def describe_group(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    """Return Kafka's description of a consumer group; aiokafka cannot read the description of several at once.

    The caller bounds the time. A new Kafka has nothing about any group: the first question for one makes it create the
    topic of their offsets, and is answered after that.
    """
    while True:
        try:
            return list(await admin.describe_consumer_groups([group]))
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(_COORDINATOR_SECONDS)


async def create_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that do not exist, and return their names; existing topics are not changed."""
    admin = AIOKafkaAdminClient(**client_options(settings, "migrate"), client_id="money-flow-migrate")
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [name for topic in all_topics() if (name := topic_name(settings, topic)) not in existing]
        if missing:
            _raise_errors(await admin.create_topics([_new_topic(settings, name) for name in missing]))
        return missing
    finally:
        await admin.close()


def _new_topic(settings: KafkaSettings, name: str) -> NewTopic:
    size = {"max.message.bytes": str(MAX_DEAD_LETTER_BYTES)} if name.endswith(DEAD_LETTER) else {}
    retention = str(settings.kafka_log_retention_hours * _MILLISECONDS_PER_HOUR)
    return NewTopic(
        name,
        num_partitions=settings.kafka_num_partitions,
        replication_factor=-1,  # The cluster's default.
        replica_assignments={},  # aiokafka requires it next to a -1; empty, the brokers assign replicas.
        topic_configs={"retention.ms": retention, "cleanup.policy": "delete"} | size,
    )


def _raise_errors(response: object) -> None:
    for topic, code, *rest in response.topic_errors:  # type: ignore[attr-defined]
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"topic {topic} could not be created: {rest[0] if rest else code}")
