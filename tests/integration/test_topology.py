"""RabbitMQ's queues and Kafka's topics are exactly what the contracts say, however often they are declared."""

import asyncio

import pika.exceptions
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from moneyflow.platform.brokers import kafka
from moneyflow.platform.events.topics import all_topics
from moneyflow.settings import AllSettings
from ops.migrate import declare_queues
from tests.support import rabbitmq_admin
from tests.support.servers import RealServers
from tests.support.waiting import eventually

_ARGUMENTS = {"x-max-priority": 10, "x-dead-letter-exchange": "jobs.dead"}
_TOPICS = {"user.events", "auth.events", "transaction.events", "category.events", "system.events", "events.dead_letter"}


def test_the_queues_are_those_of_the_contract(queues: AllSettings, servers: RealServers) -> None:
    found = rabbitmq_admin.topology(servers, queues.rabbitmq_vhost)

    assert found == {
        "queue jobs": {
            "durable": True, "auto_delete": False, "type": "classic",
            "arguments": _ARGUMENTS,
        },
        "queue jobs_failed": {"durable": True, "auto_delete": False, "type": "classic", "arguments": {}},
        "exchange jobs": {"durable": True, "auto_delete": False, "type": "direct", "arguments": {}},
        "exchange jobs.dead": {"durable": True, "auto_delete": False, "type": "fanout", "arguments": {}},
        "binding jobs -> jobs": {"routing_key": "jobs", "arguments": {}},
        "binding jobs.dead -> jobs_failed": {"routing_key": "", "arguments": {}},
    }  # fmt: skip


def test_declaring_again_changes_nothing(queues: AllSettings, servers: RealServers) -> None:
    before = rabbitmq_admin.topology(servers, queues.rabbitmq_vhost)

    declare_queues(queues)

    assert rabbitmq_admin.topology(servers, queues.rabbitmq_vhost) == before


def test_a_rabbitmq_that_starts_without_its_data_has_what_the_migration_declares(
    queues: AllSettings, servers: RealServers
) -> None:
    declared = rabbitmq_admin.topology(servers, queues.rabbitmq_vhost)
    rabbitmq_admin.delete_vhost(servers, queues.rabbitmq_vhost)

    rabbitmq_admin.create_vhost(servers, queues.rabbitmq_vhost, with_queues=True)

    assert rabbitmq_admin.topology(servers, queues.rabbitmq_vhost) == declared
    declare_queues(queues)


def test_a_queue_with_other_arguments_fails_the_declaration(queues: AllSettings, servers: RealServers) -> None:
    rabbitmq_admin.delete_queue(servers, queues.rabbitmq_vhost, "jobs")
    rabbitmq_admin.declare_queue(servers, queues.rabbitmq_vhost, "jobs", {**_ARGUMENTS, "x-max-priority": 5})

    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match=r"PRECONDITION_FAILED.*x-max-priority"):
        declare_queues(queues)


async def _described(settings: AllSettings) -> dict[str, tuple[int, str | None]]:
    """Return partitions and retention of this test's topics."""
    admin = AIOKafkaAdminClient(**kafka.client_options(settings, "migrate"))
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(settings.kafka_topic_prefix)]
        topics = await admin.describe_topics(names)
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    finally:
        await admin.close()
    retention = {
        name: {entry[0]: entry[1] for entry in entries}.get("retention.ms")
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }
    return {
        topic["topic"].removeprefix(settings.kafka_topic_prefix): (len(topic["partitions"]), retention[topic["topic"]])
        for topic in topics
    }


def test_the_topics_are_those_of_the_contract_and_creating_them_again_creates_none(topics: AllSettings) -> None:
    again = asyncio.run(kafka.create_topics(topics))

    assert again == []
    assert set(all_topics()) >= _TOPICS
    assert asyncio.run(_described(topics)) == dict.fromkeys(all_topics(), (3, str(168 * 3_600_000)))


def test_a_missing_topic_is_created_and_the_others_stay(topics: AllSettings) -> None:
    deleted = kafka.topic_name(topics, "user.events")
    asyncio.run(_delete(topics, deleted))
    eventually(lambda: "user.events" not in asyncio.run(_described(topics)), what="Kafka has deleted the topic")

    created = asyncio.run(kafka.create_topics(topics))

    assert created == [deleted]
    eventually(lambda: asyncio.run(_described(topics)).keys() == set(all_topics()), what="all topics are there")


async def _delete(settings: AllSettings, topic: str) -> None:
    admin = AIOKafkaAdminClient(**kafka.client_options(settings, "migrate"))
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()
