"""Assignment fence: admits records of a partition only after its position is claimed, and only from there on.

Records can arrive before a rebalance is processed, and the group's own offset is a mirror that may lag behind. Records
that come early, late or twice are dropped here.
"""

import time
from collections.abc import Collection, Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from consumers.positions import Position

R = TypeVar("R", bound=ConsumerRecord)


class AssignmentFence(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no types
    """Open partitions with their positions, and closed ones. Its rebalance callbacks only note, and cannot fail.

    Used by the consumer's event loop alone, so nothing here is locked.
    """

    def __init__(self) -> None:
        self._open: dict[TopicPartition, Position] = {}
        #: Assigned and closed, each with the time of the monotonic clock from which on it may be opened.
        self._closed: dict[TopicPartition, float] = {}

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Admit no more records of these partitions."""
        for partition in revoked:
            self._open.pop(partition, None)
            self._closed.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Close these partitions until their positions are claimed."""
        for partition in assigned:
            self.close(partition)

    def close(self, partition: TopicPartition, *, for_seconds: float = 0) -> None:
        """Admit nothing until the partition is opened again, which is not attempted before `for_seconds`."""
        self._open.pop(partition, None)
        self._closed[partition] = time.monotonic() + for_seconds

    def close_all(self, partitions: Collection[TopicPartition]) -> None:
        """Close those of the partitions that are open."""
        for partition in partitions:
            if partition in self._open:
                self.close(partition)

    def clear(self) -> None:
        """Drop every partition: a new client joins the group and is assigned its own."""
        self._open.clear()
        self._closed.clear()

    def pending(self) -> list[TopicPartition]:
        """Return the assigned partitions that are closed and may be opened now."""
        now = time.monotonic()
        return [partition for partition, after in self._closed.items() if after <= now]

    def open(self, partition: TopicPartition, position: Position) -> None:
        """Admit records from the position on, unless the partition was revoked meanwhile."""
        if self._closed.pop(partition, None) is not None:
            self._open[partition] = position

    def advance(self, partition: TopicPartition, position: Position) -> None:
        """Move an open partition to its next position; one that was revoked meanwhile stays out."""
        if partition in self._open:
            self._open[partition] = position

    def is_assigned(self, partition: TopicPartition) -> bool:
        """Return whether the partition is this consumer's, open or closed."""
        return partition in self._open or partition in self._closed

    def positions(self) -> dict[TopicPartition, Position]:
        """Return the open partitions with their positions."""
        return dict(self._open)

    def position(self, partition: TopicPartition) -> Position | None:
        """Return the position of an open partition."""
        return self._open.get(partition)

    def admit(self, partition: TopicPartition, records: Sequence[R]) -> list[R]:
        """Return those of the records that are admitted."""
        position = self._open.get(partition)
        if position is None or position.next_offset is None:
            return []
        return [record for record in records if record.offset >= position.next_offset]
