"""An iteration of a consumer: it succeeds only when Kafka has answered in it or within the last second, and its parts
that are written together do not end one another.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from consumers import group
from consumers.positions import Position
from consumers.runtime import Consumer
from consumers.sink import Record
from consumers.sinks.audit import AuditSink
from moneyflow.platform.database import Database
from moneyflow.platform.errors import KafkaDownError, UnavailableError
from moneyflow.settings import load_all
from tests.support.processes import free_port


def test_every_iteration_asks_a_kafka_that_is_down_until_it_answers() -> None:
    """An iteration that did not ask would count as success, and the client would never be replaced."""
    settings = load_all({"SECRET_KEY": "k" * 40, "KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(free_port())})
    database = Database(settings.conninfo("audit", application_name="test"), size=1)

    async def ask_twice() -> None:
        consumer = Consumer(settings, AuditSink(), database)
        consumer._kafka = group.new_client(settings, AuditSink(), session_seconds=10)
        try:
            for _ in range(2):
                with pytest.raises(KafkaDownError, match="Kafka does not answer"):
                    await consumer._measure_lag()
        finally:
            await consumer._kafka.stop()

    asyncio.run(ask_twice())


class _Writer:
    """Writes two batches at the same time alone; one of the first partition fails."""

    def __init__(self) -> None:
        self._both = asyncio.Barrier(2)

    async def write(self, position: Position, batch: Sequence[Record]) -> Position:
        await self._both.wait()
        if position.partition == 0:
            raise UnavailableError("the sink is down")
        return replace(position, next_offset=batch[-1].offset + 1)


def _read(partition: int) -> ConsumerRecord:
    return ConsumerRecord("user.events", partition, 7, -1, -1, b"k", b"v", None, 1, 1, ())


def test_batches_of_two_partitions_are_written_together_and_one_that_fails_is_read_again_alone() -> None:
    settings = load_all({"SECRET_KEY": "k" * 40})
    database = Database(settings.conninfo("audit", application_name="test"), size=1)
    failing, other = TopicPartition("user.events", 0), TopicPartition("user.events", 1)

    async def iterate() -> tuple[dict[TopicPartition, Position], list[TopicPartition]]:
        consumer = Consumer(settings, AuditSink(), database)
        consumer._writer = _Writer()  # type: ignore[assignment]
        for tp in (failing, other):
            consumer._fence.close(tp)
            consumer._fence.open(tp, Position(topic=tp.topic, partition=tp.partition, epoch=1, next_offset=7))
            consumer._batches.add(tp, [_read(tp.partition)])
        with pytest.raises(UnavailableError, match="the sink is down"):
            await consumer._take_together(consumer._batches.take())
        return consumer._fence.positions(), consumer._fence.pending()

    positions, closed = asyncio.run(asyncio.wait_for(iterate(), 30))

    assert {tp: position.next_offset for tp, position in positions.items()} == {other: 8}
    assert closed == [failing]
