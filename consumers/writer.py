"""Sink writer: writes a batch and the sink's position in one transaction, and dead-letters bad records.

A batch with bad data is halved until the bad record is alone: it takes 2·log₂ n + 1 writes at most to find one among n.
The bad record is kept in the table of dead letters with the position that moves past it, and is on
`events.dead_letter` before. A batch with a record that only a newer version reads is written up to that record.

Where the sink's order is strict, records wait in that table behind an open dead letter of their key.
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
from consumers.sink import Record, Sink, is_strict
from moneyflow.platform import clock
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import PoisonError, UnreadableError
from moneyflow.platform.events import dead_letters
from moneyflow.platform.failpoints import declare, reach

log = structlog.get_logger(__name__)

#: Event ids in one log line, which stays readable.
_EVENTS_IN_LOG = 50
#: Errors of the record itself, in any process and at any time; every other error is the sink's or ours.
BAD_DATA = (PoisonError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)

_COMMITTED = declare("consumer.committed")
_DEAD_LETTERED = declare("consumer.dead_lettered")


class DeadLetterTopic(Protocol):
    """Takes bad records; `put` returns when the record is stored."""

    async def put(self, record: Record, error: Exception) -> None: ...


class SinkWriter:
    """Writes the batches of one sink. `on_written` is called after each batch."""

    def __init__(
        self, sink: Sink, database: Database, topic: DeadLetterTopic, *, on_written: Callable[[], None]
    ) -> None:
        self._sink = sink
        self._is_strict = is_strict(sink)
        self._database = database
        self._topic = topic
        self._on_written = on_written

    async def write(self, position: Position, batch: Sequence[Record]) -> Position:
        """Write records of one partition in order and return the position after them.

        Raises:
            FenceLostError: another consumer has claimed the partition; nothing was written.
            UnreadableError: a newer version reads the next record; those before it are written.
        """
        position, _ = await self._write(position, batch)
        self._on_written()
        return position

    async def _write(
        self, position: Position, batch: Sequence[Record], *, has_bad: bool = False
    ) -> tuple[Position, bool]:
        """Write a batch and return whether it had a bad record; one that surely `has_bad` ones is halved at once."""
        if not has_bad or len(batch) == 1:
            try:
                return await asyncio.to_thread(self._commit, position, batch), False
            except (*BAD_DATA, UnreadableError) as error:
                if len(batch) == 1:
                    return await self._refuse(position, batch[0], error), True
        middle = len(batch) // 2
        position, found = await self._write(position, batch[:middle])
        position, more = await self._write(position, batch[middle:], has_bad=not found)
        return position, found or more

    async def _refuse(self, position: Position, record: Record, error: Exception) -> Position:
        """Publish the bad record first and keep it second: a crash in between publishes it twice, and loses nothing."""
        if isinstance(error, UnreadableError):
            raise error
        await self._topic.put(record, error)
        reach(_DEAD_LETTERED)
        position = await asyncio.to_thread(self._keep, position, record, error)
        metrics.consumer_events.labels(self._sink.name, "dead_lettered").inc()
        log.error("record_dead_lettered", topic=record.topic, partition=record.partition, offset=record.offset,
                  error=str(error))  # fmt: skip
        return position

    def _keep(self, position: Position, record: Record, error: Exception) -> Position:
        with self._database.transaction() as session:
            self._keep_letter(session, record, error)
            return self._advance(session, position, record)

    def _commit(self, position: Position, batch: Sequence[Record]) -> Position:
        with self._database.transaction() as session:
            held = self._held(session, batch) if self._is_strict else frozenset[int]()
            records = [record for record in batch if record.offset not in held] if held else batch
            new = self._sink.write(session, records) if records else 0
            for record in batch:
                if record.offset in held:
                    self._keep_letter(session, record, None)
            position = self._advance(session, position, batch[-1])
        reach(_COMMITTED)
        if records:
            self._report(records, new)
        if held:
            metrics.consumer_events.labels(self._sink.name, "waiting").inc(len(held))
        return position

    def _held(self, session: Session, batch: Sequence[Record]) -> frozenset[int]:
        """Return the offsets of the records that wait for an earlier one of their key."""
        keys = {record.key for record in batch if record.key is not None}
        if not keys:
            return frozenset()
        place = {"sink": self._sink.name, "topic": batch[0].topic, "partition": batch[0].partition}
        held = dead_letters.held_keys(session, **place, keys=keys)  # type: ignore[arg-type] # of three types
        return frozenset(
            record.offset
            for record in batch
            if record.key is not None and record.offset >= held.get(record.key, record.offset + 1)
        )

    def _keep_letter(self, session: Session, record: Record, error: Exception | None) -> None:
        dead_letters.keep(
            session, sink=self._sink.name, topic=record.topic, partition=record.partition, offset=record.offset,
            key=record.key, value=record.value, error=error,
        )  # fmt: skip

    def _advance(self, session: Session, position: Position, last: Record) -> Position:
        positions.advance(session, position, next_offset=last.offset + 1)
        return replace(position, next_offset=last.offset + 1)

    def _report(self, batch: Sequence[Record], new: int) -> None:
        count = partial(metrics.consumer_events.labels, self._sink.name)
        count("written").inc(new)
        count("duplicate").inc(len(batch) - new)
        if new == len(batch):  # What comes again was delivered before, and would count for a second time.
            now, delivery = clock.now(), metrics.event_delivery_seconds.labels(self._sink.name)
            for emitted_at in filter(None, (record.emitted_at() for record in batch)):
                delivery.observe(max((now - emitted_at).total_seconds(), 0))
        log.info(
            "batch_written",
            topic=batch[0].topic,
            partition=batch[0].partition,
            first_offset=batch[0].offset,
            records=len(batch),
            new=new,
            event_ids=[record.event_id() for record in batch[:_EVENTS_IN_LOG]],
        )
