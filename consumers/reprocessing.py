"""Reprocessing: writes the sink's dead letters that operators have made due, each in one transaction with its outcome.

Only the consumer that owns a partition takes its dead letters, under the epoch of its position: the sink writes each
once, however many operators ask for it. In a strict sink the records that wait behind a dead letter follow it.
"""

from collections.abc import Collection
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import DictRow

from consumers import metrics, positions
from consumers.positions import Position
from consumers.sink import Record, Sink, is_strict
from consumers.writer import BAD_DATA
from moneyflow.platform.database import Database
from moneyflow.platform.errors import FenceLostError, UnavailableError, UnreadableError
from moneyflow.platform.events import dead_letters
from moneyflow.platform.failpoints import declare, reach

log = structlog.get_logger(__name__)

#: Dead letters of one look; new records are written before the next ones.
_AT_ONCE = 100
#: Seconds until a dead letter that only a newer version reads is looked at again.
_UNREADABLE_SECONDS = 60.0

#: Errors after which the same dead letter is taken again: an outage, or another consumer's partition.
_NOT_OF_THE_RECORD = (FenceLostError, UnavailableError, psycopg.OperationalError, psycopg.InterfaceError)

_WRITTEN = declare("consumer.dead_letter_written")
_REPROCESSED = declare("consumer.reprocessed")


class Reprocessing:
    """Takes the due dead letters of one sink."""

    def __init__(self, sink: Sink, database: Database) -> None:
        self._sink = sink
        self._is_strict = is_strict(sink)
        self._database = database

    def due(self, open_now: Collection[Position]) -> list[DictRow]:
        """Return the dead letters that are to be written now, in the partitions of these positions."""
        if not open_now:
            return []
        partitions = [(position.topic, position.partition) for position in open_now]
        with self._database.transaction() as session:
            return dead_letters.due(
                session, sink=self._sink.name, partitions=partitions, strict=self._is_strict, limit=_AT_ONCE
            )

    def write(self, position: Position, letter: DictRow) -> None:
        """Write one dead letter, unless it was written or another consumer has its partition now.

        One on which the sink fails again, by bad data or by a bug, is dead again: it holds up no other record.

        Raises:
            FenceLostError: another consumer has claimed the partition; nothing was written.
        """
        outcome = "reprocessed"
        try:
            if not self._write(position, letter):
                return
            reach(_REPROCESSED)
        except UnreadableError:
            outcome = "unreadable"
            self._reschedule(position, letter["id"])
        except Exception as error:
            if isinstance(error, _NOT_OF_THE_RECORD) and not isinstance(error, BAD_DATA):
                raise
            outcome = "failed_again"
            self._fail(position, letter["id"], error)
        metrics.consumer_events.labels(self._sink.name, outcome).inc()
        log.info("dead_letter_taken", dead_letter=letter["id"], topic=letter["topic"], partition=letter["partition"],
                 offset=letter["kafka_offset"], operation=letter["due_by"], outcome=outcome)  # fmt: skip

    def _write(self, position: Position, letter: DictRow) -> bool:
        with self._database.transaction() as session:
            positions.hold(session, position)
            if not dead_letters.lock(session, letter["id"]):
                return False
            self._sink.write(session, [_record(letter)])
            dead_letters.mark_reprocessed(session, letter["id"])
            reach(_WRITTEN)
        return True

    def _fail(self, position: Position, letter: UUID, error: Exception) -> None:
        with self._database.transaction() as session:
            positions.hold(session, position)
            dead_letters.mark_failed_again(session, letter, error)

    def _reschedule(self, position: Position, letter: UUID) -> None:
        with self._database.transaction() as session:
            positions.hold(session, position)
            dead_letters.reschedule(session, letter, seconds=_UNREADABLE_SECONDS)


def _record(letter: DictRow) -> Record:
    return Record(
        topic=letter["topic"],
        partition=letter["partition"],
        offset=letter["kafka_offset"],
        key=letter["key"],
        value=letter["value"],
    )
