"""Lag of a consumer's partitions, in records: what Kafka has and the sink has not."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumers.answers import answer
from consumers.positions import Position


@dataclass(frozen=True)
class Parked:
    """A partition whose next record a newer version reads; `position` may be some records behind."""

    position: Position
    reason: str


@dataclass(frozen=True, kw_only=True)
class Lags:
    """Records behind the end, by topic and partition, of open partitions and of parked ones."""

    open: Mapping[tuple[str, int], int]
    parked: Mapping[tuple[str, int], int]


async def measure(
    client: AIOKafkaConsumer,
    open_now: Mapping[TopicPartition, Position],
    parked: Mapping[TopicPartition, Parked],
    *,
    server: str,
) -> Lags:
    """Ask Kafka for the ends of these partitions; without any, ask for its topics, so that it is asked.

    Raises:
        KafkaDownError: it does not answer.
    """
    known = [*open_now, *(tp for tp in parked if tp not in open_now)]
    ends = await answer(client.end_offsets(known) if known else client.topics(), server=server)
    return Lags(open=_lags(open_now, ends), parked=_lags({tp: one.position for tp, one in parked.items()}, ends))


def _lags(
    positions: Mapping[TopicPartition, Position], ends: Mapping[TopicPartition, int]
) -> dict[tuple[str, int], int]:
    return {
        (position.topic, tp.partition): max(0, ends[tp] - (position.next_offset or 0))
        for tp, position in positions.items()
    }
