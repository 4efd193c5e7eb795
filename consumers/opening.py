"""Opening of partitions: their positions are claimed in the sink's database, and the consumer seeks to them."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import psycopg
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from consumers import positions
from consumers.answers import answer
from consumers.assignment import AssignmentFence
from consumers.positions import Position
from consumers.progress import Progress
from moneyflow.platform.database import Database

log = structlog.get_logger(__name__)

#: Seconds after which a stopped partition's row is read again; an operator who cleared the gap waits no longer.
_STOPPED_SECONDS = 30.0
#: Seconds until a position that another consumer's transaction has locked is claimed again.
_LOCKED_SECONDS = 2.0


class PartitionOpener:
    """Opens the partitions of the fence that are closed; one with a gap stays closed until an operator clears it."""

    def __init__(
        self, database: Database, fence: AssignmentFence, progress: Progress, *, prefix: str, server: str
    ) -> None:
        self._database = database
        self._fence = fence
        self._progress = progress
        self._prefix = prefix
        self._server = server

    async def open(self, client: AIOKafkaConsumer, closed: Collection[TopicPartition]) -> list[TopicPartition]:
        """Open these partitions, all at once, and return those that are open.

        Raises:
            KafkaDownError: Kafka does not say what it has of them.
        """
        claimed = await asyncio.to_thread(self._claim, closed)
        oldest = await answer(client.beginning_offsets(claimed), server=self._server)
        newest = await answer(client.end_offsets(claimed), server=self._server)
        opened = []
        for tp, position in claimed.items():
            next_offset = oldest[tp] if position.next_offset is None else position.next_offset
            gap = position.gap
            if gap is None and not oldest[tp] <= next_offset <= newest[tp]:
                gap = f"{position.topic} {tp.partition}: {next_offset} is not in {oldest[tp]}..{newest[tp]}"
                await asyncio.to_thread(self._note_gap, position, gap)
            if gap is not None:
                self._stop(tp, gap)
            elif self._seek(client, tp, replace(position, next_offset=next_offset)):
                opened.append(tp)
        return opened

    async def superseded(self) -> list[TopicPartition]:
        """Return the open partitions that an operator has moved, or another consumer has claimed."""
        open_now = self._fence.positions()
        gone = await asyncio.to_thread(self._superseded, list(open_now.values())) if open_now else []
        return [tp for tp, position in open_now.items() if position in gone]

    def _seek(self, client: AIOKafkaConsumer, tp: TopicPartition, position: Position) -> bool:
        self._progress.no_gap(tp)
        try:
            client.seek(tp, position.next_offset)
        except IllegalStateError:
            return False  # Revoked meanwhile.
        self._fence.open(tp, position)
        return self._fence.position(tp) is not None

    def _stop(self, tp: TopicPartition, gap: str) -> None:
        log.error("partition_stopped", gap=gap, action="an operator clears the gap: see ops/runbooks/events.md")
        self._progress.gap(tp, gap)
        self._fence.close(tp, for_seconds=_STOPPED_SECONDS)

    def _claim(self, closed: Collection[TopicPartition]) -> Mapping[TopicPartition, Position]:
        """Claim each by itself: one that a frozen consumer holds in its transaction delays no other for long."""
        claimed = {}
        for tp in sorted(closed):
            topic = tp.topic.removeprefix(self._prefix)
            try:
                with self._database.autocommit() as session:
                    claimed[tp] = positions.claim(session, topic=topic, partition=tp.partition)
            except psycopg.errors.LockNotAvailable:
                log.warning("position_locked", topic=topic, partition=tp.partition, consequence="it is claimed later")
                self._fence.close(tp, for_seconds=_LOCKED_SECONDS)
        return claimed

    def _superseded(self, open_now: Sequence[Position]) -> list[Position]:
        with self._database.autocommit() as session:
            return positions.superseded(session, open_now)

    def _note_gap(self, position: Position, gap: str) -> None:
        with self._database.transaction() as session:
            positions.stop(session, position, gap)
