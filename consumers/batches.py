"""Batches: the records that were read and are not written yet, until the sink's batch is full or has waited enough."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord, TopicPartition

from consumers.sink import Batch

#: Bytes of keys and values that fill a batch, however few records it has: a record may have a megabyte.
FULL_BYTES = 4 * 1024 * 1024


@dataclass
class _Filling:
    """The records of one partition, the bytes of them, and when the first one was read."""

    began_at: float
    records: list[ConsumerRecord] = field(default_factory=list)
    bytes: int = 0


class Batches:
    """The next batch of each partition. The consumer reads no more while one is ready, so that memory is bounded."""

    def __init__(self, batch: Batch, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._batch = batch
        self._clock = clock
        self._filling: dict[TopicPartition, _Filling] = {}

    def add(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Append records that were read."""
        if not records:
            return
        filling = self._filling.setdefault(partition, _Filling(began_at=self._clock()))
        filling.records.extend(records)
        filling.bytes += sum(map(_size, records))

    def take(self) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Remove and return batches that are ready, each of another partition: as many as are written together."""
        ready = [partition for partition, filling in self._filling.items() if self._is_ready(filling)]
        return {partition: self._take(partition) for partition in ready[: self._batch.together]}

    def _take(self, partition: TopicPartition) -> list[ConsumerRecord]:
        records = self._filling.pop(partition).records
        self.add(partition, records[self._batch.records :])
        return records[: self._batch.records]

    def drop(self, partition: TopicPartition) -> None:
        """Forget the records of a partition, which are read again."""
        self._filling.pop(partition, None)

    def ready_in_seconds(self, *, at_most: float) -> float:
        """Return the seconds until a batch is ready by its age, 0 when one is ready now."""
        waits = [self._wait(filling) for filling in self._filling.values()]
        return min([at_most, *waits])

    def _is_ready(self, filling: _Filling) -> bool:
        return self._wait(filling) == 0

    def _wait(self, filling: _Filling) -> float:
        if len(filling.records) >= self._batch.records or filling.bytes >= FULL_BYTES:
            return 0
        return max(0.0, filling.began_at + self._batch.seconds - self._clock())


def _size(record: ConsumerRecord) -> int:
    return len(record.key or b"") + len(record.value or b"")
