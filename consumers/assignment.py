"""The gate in front of a sink: no record passes before its partition stands where the sink's own position says.

Records can come in before a rebalance is digested, and the group's own offset is only a mirror that may lag behind.
What comes early, late or twice is dropped here.
"""

import time
from collections.abc import Collection, Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from consumers.positions import Position

R = TypeVar("R", bound=ConsumerRecord)


class AssignmentFence(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Which partitions are open, and from which offset on. Listening to rebalances it only notes, and cannot fail."""

    def __init__(self) -> None:
        self._open: dict[TopicPartition, Position] = {}
        self._closed: dict[TopicPartition, float] = {}

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Let nothing more of these pass."""
        for partition in revoked:
            self._open.pop(partition, None)
            self._closed.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Close these until their position is claimed."""
        for partition in assigned:
            self.close(partition)

    def close(self, partition: TopicPartition, *, for_seconds: float = 0) -> None:
        """Let nothing pass until the partition is opened anew, which is not tried before `for_seconds`."""
        self._open.pop(partition, None)
        self._closed[partition] = time.monotonic() + for_seconds

    def close_all(self, partitions: Collection[TopicPartition]) -> None:
        """Close those of the partitions that are open."""
        for partition in partitions:
            if partition in self._open:
                self.close(partition)

    def forget(self) -> None:
        """Know of no partition any more: a new client joins the group, and is told which ones are its own."""
        self._open.clear()
        self._closed.clear()

    def waiting(self) -> list[TopicPartition]:
        """Return the partitions that are ours and may be opened now."""
        now = time.monotonic()
        return [partition for partition, after in self._closed.items() if after <= now]

    def open(self, partition: TopicPartition, position: Position) -> None:
        """Let records pass from the position on, unless the partition was revoked meanwhile."""
        if self._closed.pop(partition, None) is not None:
            self._open[partition] = position

    def positions(self) -> dict[TopicPartition, Position]:
        """Return the open partitions with their positions."""
        return dict(self._open)

    def position(self, partition: TopicPartition) -> Position | None:
        """Return the position of an open partition."""
        return self._open.get(partition)

    def admit(self, partition: TopicPartition, records: Sequence[R]) -> list[R]:
        """Return those of the records that may pass."""
        position = self._open.get(partition)
        if position is None or position.next_offset is None:
            return []
        return [record for record in records if record.offset >= position.next_offset]
