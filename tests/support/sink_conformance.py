"""The conformance suite of sinks: each sink's test inherits it, and gives the sink, its records and its rows."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from consumers import positions
from consumers.positions import Position
from consumers.sink import Record, Sink
from consumers.writer import SinkWriter
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import FenceLostError, UnavailableError, UnknownVersionError, UnreadableError
from moneyflow.settings import AllSettings


@dataclass
class DeadLetterList:
    """Keeps dead letters in memory, or is down."""

    offsets: list[int] = field(default_factory=list)
    is_down: bool = False

    async def put(self, record: Record, error: Exception) -> None:
        assert str(error)
        if self.is_down:
            raise UnavailableError("Kafka is down")
        self.offsets.append(record.offset)


class CrashError(Exception):
    """The sink's process ends in the middle of a transaction."""


@dataclass
class CrashingSink:
    """A sink that writes its rows and ends before its position is committed."""

    sink: Sink

    def write(self, session: Session, records: Sequence[Record]) -> int:
        self.sink.write(session, records)
        raise CrashError

    def __getattr__(self, name: str) -> object:
        return getattr(self.sink, name)


@dataclass
class OlderSink:
    """A sink whose version does not know the records from an offset on."""

    sink: Sink
    unknown_from: int

    def write(self, session: Session, records: Sequence[Record]) -> int:
        if records[-1].offset >= self.unknown_from:
            raise UnknownVersionError("a newer producer wrote it")
        return self.sink.write(session, records)

    def __getattr__(self, name: str) -> object:
        return getattr(self.sink, name)


class SinkConformance(ABC):
    """What every sink must do, on its own role and schema."""

    sink: Sink

    @abstractmethod
    def good(self, offset: int) -> Record:
        """Return a record that the sink writes; the same one for the same offset."""

    @abstractmethod
    def bad(self, offset: int) -> Record:
        """Return a record that no sink of this kind could ever write."""

    @abstractmethod
    def written(self, session: Session) -> list[int]:
        """Return the offsets of the records that the sink has written, in the order of writing."""

    @pytest.fixture
    def sink_database(self, settings: AllSettings) -> Iterator[Database]:
        """Return the database as the sink's consumer has it."""
        conninfo = settings.conninfo(self.sink.role, application_name="test")  # any role
        database = Database(conninfo, size=2, schema=self.sink.schema)
        database.open()
        yield database
        database.close()

    @pytest.fixture
    def dead_letters(self) -> DeadLetterList:
        return DeadLetterList()

    @pytest.fixture
    def writer(self, sink_database: Database, dead_letters: DeadLetterList) -> SinkWriter:
        return SinkWriter(self.sink, sink_database, dead_letters, on_written=lambda: None)

    def _claim(self, database: Database) -> Position:
        record = self.good(0)
        with database.transaction() as session:
            return positions.claim(session, topic=record.topic, partition=record.partition)

    def _state(self, database: Database) -> tuple[list[int], int | None]:
        """Return what is written and the next offset, as one transaction sees them."""
        with database.transaction() as session:
            row = session.fetch_one("select next_offset from positions")
            return self.written(session), row["next_offset"] if row else None

    def test_each_record_is_written_once_in_order(self, writer: SinkWriter, sink_database: Database) -> None:
        position = asyncio.run(writer.write(self._claim(sink_database), [self.good(0), self.good(1)]))
        position = asyncio.run(writer.write(position, [self.good(2)]))

        assert position.next_offset == 3
        assert self._state(sink_database) == ([0, 1, 2], 3)

    def test_a_redelivery_changes_nothing_and_the_records_after_it_are_written(
        self, writer: SinkWriter, sink_database: Database
    ) -> None:
        position = self._claim(sink_database)
        asyncio.run(writer.write(position, [self.good(0), self.good(1)]))

        asyncio.run(writer.write(position, [self.good(0), self.good(1), self.good(1), self.good(2)]))

        assert self._state(sink_database) == ([0, 1, 2], 3)

    def test_the_sink_counts_the_records_that_are_new(self, sink_database: Database) -> None:
        with sink_database.transaction() as session:
            assert self.sink.write(session, [self.good(0), self.good(1)]) == 2
            assert self.sink.write(session, [self.good(1), self.good(2)]) == 1

    def test_a_bad_record_alone_is_dead_lettered_and_its_neighbours_are_written(
        self, writer: SinkWriter, sink_database: Database, dead_letters: DeadLetterList
    ) -> None:
        position = self._claim(sink_database)

        position = asyncio.run(writer.write(position, [self.good(0), self.bad(1), self.good(2), self.bad(3)]))

        assert dead_letters.offsets == [1, 3]
        assert position.next_offset == 4
        assert self._state(sink_database) == ([0, 2], 4)

    def test_a_bad_record_that_cannot_be_dead_lettered_is_not_passed(
        self, writer: SinkWriter, sink_database: Database, dead_letters: DeadLetterList
    ) -> None:
        dead_letters.is_down = True

        with pytest.raises(UnavailableError):
            asyncio.run(writer.write(self._claim(sink_database), [self.good(0), self.bad(1), self.good(2)]))

        assert self._state(sink_database) == ([0], 1)

    def test_a_record_of_a_newer_version_is_neither_written_nor_dead_lettered_and_those_before_it_are_written(
        self, sink_database: Database, dead_letters: DeadLetterList, writer: SinkWriter
    ) -> None:
        older: Sink = OlderSink(self.sink, unknown_from=3)  # type: ignore[assignment] # the rest is the sink's
        records = [self.good(0), self.bad(1), self.good(2), self.good(3), self.good(4)]

        with pytest.raises(UnreadableError):
            asyncio.run(
                SinkWriter(older, sink_database, dead_letters, on_written=lambda: None).write(
                    self._claim(sink_database), records
                )
            )

        assert (dead_letters.offsets, self._state(sink_database)) == ([1], ([0, 2], 3))
        asyncio.run(writer.write(self._claim(sink_database), records[3:]))
        assert self._state(sink_database) == ([0, 2, 3, 4], 5)

    def test_rows_without_their_position_are_not_there(self, sink_database: Database) -> None:
        position = self._claim(sink_database)
        crashing: Sink = CrashingSink(self.sink)  # type: ignore[assignment] # the other attributes are the sink's
        writer = SinkWriter(crashing, sink_database, DeadLetterList(), on_written=lambda: None)

        with pytest.raises(CrashError):
            asyncio.run(writer.write(position, [self.good(0)]))

        assert self._state(sink_database) == ([], None)

    def test_a_consumer_whose_partition_was_claimed_by_another_writes_nothing(
        self, writer: SinkWriter, sink_database: Database
    ) -> None:
        zombie = self._claim(sink_database)
        current = self._claim(sink_database)

        with pytest.raises(FenceLostError):
            asyncio.run(writer.write(zombie, [self.good(0)]))
        assert self._state(sink_database) == ([], None)

        asyncio.run(writer.write(current, [self.good(0)]))
        assert self._state(sink_database) == ([0], 1)
