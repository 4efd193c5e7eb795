"""What RabbitMQ, Kafka and Redis know: depths of queues, the consumers' lag, and whether each of them answers."""

import asyncio
from typing import Any

import pika
import pika.exceptions
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from moneyflow.platform.brokers.kafka import client_options, describe_group, group_prefix
from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE, JOBS_QUEUE, connection_parameters
from moneyflow.platform.brokers.redis import connect
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.settings import KafkaSettings, RabbitmqSettings, RedisSettings
from moneyflow.platform.status.snapshot import Consumer, Queues

#: Where a group's members are in Kafka's description of it.
_GROUP, _MEMBERS = 1, 5


def read_queues(settings: RabbitmqSettings, *, seconds: float) -> Queues:
    """Return the depths of our queues; raises when RabbitMQ does not answer, or a queue is missing."""
    parameters = connection_parameters(settings, login="operator", name="moneyflow status")
    parameters.socket_timeout = parameters.stack_timeout = parameters.blocked_connection_timeout = seconds
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            jobs, failed = (
                channel.queue_declare(queue, passive=True).method.message_count for queue in (JOBS_QUEUE, FAILED_QUEUE)
            )
        finally:
            if connection.is_open:
                connection.close()
    except pika.exceptions.ChannelClosedByBroker as error:
        raise UnavailableError(f"{error.reply_text}; run the migration, which declares it") from error
    return Queues(jobs=jobs, jobs_failed=failed)


def ping_redis(settings: RedisSettings, *, seconds: float) -> None:
    """Return when Redis answers; raises when it does not."""
    client = connect(settings, timeout_seconds=seconds)
    try:
        client.ping()
    finally:
        client.close()


def read_consumers(settings: KafkaSettings, *, seconds: float) -> tuple[Consumer, ...]:
    """Return each sink's consumers and their lag; raises when Kafka does not answer."""
    return asyncio.run(asyncio.wait_for(_consumers(settings, seconds), seconds))


async def _consumers(settings: KafkaSettings, seconds: float) -> tuple[Consumer, ...]:
    where = {**client_options(settings, "operator"), "request_timeout_ms": round(seconds * 1000)}
    admin = AIOKafkaAdminClient(client_id="money-flow-status", **where)
    reader = AIOKafkaConsumer(client_id="money-flow-status", **where)
    try:
        await admin.start()
        await reader.start()
        prefix = group_prefix(settings)
        groups = sorted(name for name, *_ in await admin.list_consumer_groups() if name.startswith(prefix))
        members = await _members(admin, groups)
        lags = {name: await _lag(admin, reader, name) for name in groups}
        return tuple(Consumer(sink=name.removeprefix(prefix), members=members[name], lag=lags[name]) for name in groups)
    finally:
        await admin.close()
        await reader.stop()


async def _members(admin: Any, groups: list[str]) -> dict[str, int]:
    answers = [answer for group in groups for answer in await describe_group(admin, group)]
    return {group[_GROUP]: len(group[_MEMBERS]) for answer in answers for group in answer.groups}


async def _lag(admin: Any, reader: Any, group: str) -> int:
    """Return the records after the offsets that the sink has mirrored to its group."""
    mirrored = await admin.list_consumer_group_offsets(group)
    ends = await reader.end_offsets(list(mirrored)) if mirrored else {}
    return sum(max(0, ends[partition] - offset.offset) for partition, offset in mirrored.items())
