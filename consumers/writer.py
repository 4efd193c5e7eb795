"""Sink writer: writes a batch and the sink's position in one transaction, and dead-letters bad records.

A batch with bad data is written again record by record, so that the bad record alone goes to `events.dead_letter`. One
with a record that only a newer version reads is written up to that record.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import psycopg
import structlog

from consumers import metrics, positions
from consumers.positions import Position
from consumers.sink import Record, Sink
from moneyflow.platform import clock
from moneyflow.platform.database import Database
from moneyflow.platform.errors import PoisonError, UnreadableError
from moneyflow.platform.failpoints import declare, reach

log = structlog.get_logger(__name__)

#: Event ids in one log line, which stays readable.
_EVENTS_IN_LOG = 50
#: Errors of the record itself, in any process and at any time; every other error is the sink's or ours.
_BAD_DATA = (PoisonError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)

_COMMITTED = declare("consumer.committed")
_DEAD_LETTERED = declare("consumer.dead_lettered")


class DeadLetterQueue(Protocol):
    """Takes bad records; `put` returns when the record is stored."""

    async def put(self, record: Record, error: Exception) -> None: ...


class SinkWriter:
    """Writes the batches of one sink. `on_written` is called after each commit."""

    def __init__(
        self, sink: Sink, database: Database, dead_letters: DeadLetterQueue, *, on_written: Callable[[], None]
    ) -> None:
        self._sink = sink
        self._database = database
        self._dead_letters = dead_letters
        self._on_written = on_written

    async def write(self, position: Position, batch: Sequence[Record]) -> Position:
        """Write records of one partition in order and return the position after them.

        Raises:
            FenceLostError: another consumer has claimed the partition; nothing was written.
            UnreadableError: a newer version reads the next record; those before it are written.
        """
        try:
            position = await asyncio.to_thread(self._commit, position, batch)
        except (*_BAD_DATA, UnreadableError) as error:
            if len(batch) > 1:
                for record in batch:
                    position = await self.write(position, [record])
                return position
            if isinstance(error, UnreadableError):
                raise
            position = await self._dead_letter(position, batch[0], error)
        self._on_written()
        return position

    async def _dead_letter(self, position: Position, record: Record, error: Exception) -> Position:
        """Publish the bad record first and move on second: a crash in between publishes it twice, and loses nothing."""
        await self._dead_letters.put(record, error)
        reach(_DEAD_LETTERED)
        position = await asyncio.to_thread(self._commit, position, [record], skip=True)
        metrics.consumer_events.labels(self._sink.name, "dead_lettered").inc()
        log.error("record_dead_lettered", topic=record.topic, partition=record.partition, offset=record.offset,
                  error=str(error))  # fmt: skip
        return position

    def _commit(self, position: Position, batch: Sequence[Record], *, skip: bool = False) -> Position:
        next_offset = batch[-1].offset + 1
        with self._database.transaction() as session:
            new = 0 if skip else self._sink.write(session, batch)
            positions.advance(session, position, next_offset=next_offset)
        reach(_COMMITTED)
        if not skip:
            self._report(position, batch, new)
        return replace(position, next_offset=next_offset)

    def _report(self, position: Position, batch: Sequence[Record], new: int) -> None:
        count = partial(metrics.consumer_events.labels, self._sink.name)
        count("written").inc(new)
        count("duplicate").inc(len(batch) - new)
        if new == len(batch):  # What comes again was delivered before, and would count for a second time.
            now, delivery = clock.now(), metrics.event_delivery_seconds.labels(self._sink.name)
            for emitted_at in filter(None, (record.emitted_at() for record in batch)):
                delivery.observe(max((now - emitted_at).total_seconds(), 0))
        log.info(
            "batch_written",
            topic=position.topic,
            partition=position.partition,
            first_offset=batch[0].offset,
            records=len(batch),
            new=new,
            event_ids=[record.event_id() for record in batch[:_EVENTS_IN_LOG]],
        )
