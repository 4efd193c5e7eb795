"""Record batches: events on their way to Kafka, packed by partition in the order of the outbox.

PERF: aiokafka's `send` makes a future and a task switch for every event, and takes four times as long as its batches.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2
from psycopg.rows import DictRow

from moneyflow.platform.brokers.kafka import topic_name
from moneyflow.platform.events.contract import CONTENT_TYPE
from moneyflow.platform.settings import KafkaSettings

#: Bytes of a batch, far below the largest that a broker takes; one event may be larger, and is a batch of its own.
BATCH_BYTES = 256 * 1024
_HEADERS = [("content-type", CONTENT_TYPE.encode())]
#: Keys whose hash is kept: the people who are active now. PERF: the hash is written in Python.
_KEPT_KEYS = 10_000


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A batch that was handed over: its topic, its rows, and what becomes of it."""

    topic: str
    sequences: Sequence[int]
    future: "asyncio.Future[object]"


@dataclass(frozen=True)
class _Open:
    """A batch that is being packed."""

    builder: Any
    sequences: list[int]


class RecordBatches:
    """Packs rows into batches and hands over each that is full; `flush` hands over the others.

    The batches of one partition are handed over one after another, so that the order of each key is kept.
    """

    def __init__(self, producer: AIOKafkaProducer, settings: KafkaSettings, sent: list[Sent]) -> None:
        """Append each batch that is handed over to `sent`, in that order."""
        self._producer = producer
        self._settings = settings
        self._open: dict[tuple[str, int], _Open] = {}
        self._sent = sent

    async def add(self, row: DictRow) -> None:
        """Pack a row.

        Raises:
            KafkaError: the topic is not there, or its batch could not be handed over.
        """
        topic, key = row["topic"], row["key"].encode()
        place = topic, partition_of(key, await self._producer.partitions_for(topic_name(self._settings, topic)))
        if not self._append(place, row, key):
            await self._hand_over(place)
            is_packed = self._append(place, row, key)
            assert is_packed, "the first event fits into a batch, however large it is"

    def open_topics(self) -> set[str]:
        """Return the topics of the batches that are not handed over yet."""
        return {topic for topic, _ in self._open}

    async def flush(self, topic: str) -> None:
        """Hand over what is packed of a topic.

        Raises:
            KafkaError: a batch could not be handed over.
        """
        for place in [place for place in self._open if place[0] == topic]:
            await self._hand_over(place)

    def _append(self, place: tuple[str, int], row: DictRow, key: bytes) -> bool:
        if place not in self._open:
            self._open[place] = _Open(self._producer.create_batch(), [])
        batch = self._open[place]
        if batch.builder.append(timestamp=None, key=key, value=row["value"], headers=_HEADERS) is None:
            return False
        batch.sequences.append(row["sequence"])
        return True

    async def _hand_over(self, place: tuple[str, int]) -> None:
        topic, partition = place
        batch = self._open.pop(place)
        name = topic_name(self._settings, topic)
        future = await self._producer.send_batch(batch.builder, name, partition=partition)
        self._sent.append(Sent(topic=topic, sequences=batch.sequences, future=future))


def partition_of(key: bytes, partitions: Collection[int]) -> int:
    """Return the partition of a key, as Kafka's clients choose it."""
    return sorted(partitions)[_hash(key) % len(partitions)]


@lru_cache(maxsize=_KEPT_KEYS)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF
