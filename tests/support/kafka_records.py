"""What tests put into Kafka and read from it, by the contract's names of topics."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient

from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.settings import AllSettings


def produce(settings: AllSettings, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Send records of key and value, and wait until Kafka has them."""

    async def send() -> None:
        async with AIOKafkaProducer(**client_options(settings, "migrate"), acks="all") as producer:
            name = topic_name(settings, topic)
            sent = [await producer.send(name, value, key=key) for key, value in records]
            await asyncio.gather(*sent)

    asyncio.run(send())


def topics(settings: AllSettings) -> set[str]:
    """Return the names of all topics."""

    async def ask() -> set[str]:
        admin = AIOKafkaAdminClient(**client_options(settings, "migrate"))
        await admin.start()
        try:
            return set(await admin.list_topics())
        finally:
            await admin.close()

    return asyncio.run(ask())


def everything_in(settings: AllSettings, topic: str) -> list[ConsumerRecord]:
    """Return all records of a topic, partition by partition in their order."""

    async def read() -> list[ConsumerRecord]:
        name = topic_name(settings, topic)
        consumer = AIOKafkaConsumer(name, **client_options(settings, "migrate"), auto_offset_reset="earliest")
        async with consumer:
            partitions = list(consumer.assignment())
            ends = await consumer.end_offsets(partitions)
            found: list[ConsumerRecord] = []
            while [tp for tp, end in ends.items() if await consumer.position(tp) < end]:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(records)
            return sorted(found, key=lambda record: (record.partition, record.offset))

    return asyncio.run(read())
