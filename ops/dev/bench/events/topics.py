"""Topics of one measurement: created under a prefix of their own, filled, and asked how many records they have."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from moneyflow.events import event_topics
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.events.contract import CONTENT_TYPE
from moneyflow.platform.events.emit import OutboxRow
from moneyflow.settings import AllSettings, load_all
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.migrate import declare_topics

_POLL_SECONDS = 0.02
_LONGEST_SECONDS = 600.0
#: Records that are handed over before their confirms are waited for.
_IN_FLIGHT = 5000


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """When records were first seen in the topics and how many, and when all of them were there."""

    first_at: float
    first_records: int
    all_at: float


class Topics:
    """The product's topics under a prefix; only this measurement uses them."""

    def __init__(self, testbed: Testbed, prefix: str) -> None:
        #: What processes need in their environment in order to use these topics.
        self.environment: Mapping[str, str] = {"KAFKA_TOPIC_PREFIX": prefix}
        self._settings: AllSettings = load_all(testbed.environment | self.environment)
        declare_topics(self._settings)

    def fill(self, rows: Iterable[OutboxRow]) -> int:
        """Publish the rows as the relay would, and return how many there were."""
        return asyncio.run(self._fill(rows))

    def records(self) -> int:
        """Return how many records the topics have."""
        return asyncio.run(self._records())

    def wait_for(self, number: int, *, before: int) -> Arrival:
        """Wait until the topics have `number` records more than `before`."""
        return asyncio.run(self._wait_for(number, before))

    async def _fill(self, rows: Iterable[OutboxRow]) -> int:
        headers = [("content-type", CONTENT_TYPE.encode())]
        options = client_options(self._settings, "migrate")
        written = 0
        async with AIOKafkaProducer(**options, enable_idempotence=True, acks="all", max_batch_size=2**18) as producer:
            futures = []
            for row in rows:
                topic = topic_name(self._settings, row.topic)
                futures.append(await producer.send(topic, row.value, key=row.key.encode(), headers=headers))
                if len(futures) == _IN_FLIGHT:
                    written += len(await asyncio.gather(*futures))
                    futures.clear()
            return written + len(await asyncio.gather(*futures))

    async def _records(self) -> int:
        async with AIOKafkaConsumer(**client_options(self._settings, "migrate")) as client:
            return await _end(client, self._partitions())

    async def _wait_for(self, number: int, before: int) -> Arrival:
        first_at, first_records, deadline = 0.0, 0, time.monotonic() + _LONGEST_SECONDS
        async with AIOKafkaConsumer(**client_options(self._settings, "migrate")) as client:
            partitions = self._partitions()
            while True:
                arrived, now = await _end(client, partitions) - before, time.monotonic()
                if arrived and not first_records:
                    first_at, first_records = now, arrived
                if arrived >= number:
                    return Arrival(first_at=first_at, first_records=first_records, all_at=now)
                if now > deadline:
                    raise BenchError(f"{arrived} of {number} records have arrived within {_LONGEST_SECONDS:.0f} s")
                await asyncio.sleep(_POLL_SECONDS)

    def _partitions(self) -> list[TopicPartition]:
        names = [topic_name(self._settings, topic) for topic in event_topics()]
        numbers = range(self._settings.kafka_num_partitions)
        return [TopicPartition(name, number) for name in names for number in numbers]


async def _end(client: AIOKafkaConsumer, partitions: list[TopicPartition]) -> int:
    return sum((await client.end_offsets(partitions)).values())
