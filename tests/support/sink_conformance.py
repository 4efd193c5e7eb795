"""The conformance suite of sinks: each sink's test inherits it, and gives the sink, its records and its rows."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from consumers import positions
from consumers.positions import Position
from consumers.reprocessing import Reprocessing
from consumers.runtime import Consumer
from consumers.sink import Record, Sink
from consumers.writer import SinkWriter
from moneyflow.platform import clock, failpoints
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import (
    FenceLostError,
    PoisonError,
    UnavailableError,
    UnknownVersionError,
    UnreadableError,
)
from moneyflow.platform.events import dead_letters as store
from moneyflow.platform.ids import new_id
from moneyflow.platform.sinks.positions import rows
from moneyflow.platform.sinks.positions.rows import Place
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


class CrashError(BaseException):
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


@dataclass
class BrokenSink:
    """A sink with a bug: it calls the records of some offsets bad, until it is mended."""

    sink: Sink
    refused: set[int]
    order: str = "per_key"

    def write(self, session: Session, records: Sequence[Record]) -> int:
        if refused := self.refused & {record.offset for record in records}:
            raise PoisonError(f"{refused} cannot be read")
        return self.sink.write(session, records)

    def __getattr__(self, name: str) -> object:
        return getattr(self.sink, name)


@contextmanager
def dying(point: str, times: int) -> Iterator[None]:
    """Let the consumer die when it reaches the point for the given time."""
    left = times

    def count_down(reached: str) -> None:
        nonlocal left
        left -= reached == point
        if reached == point and left == 0:
            raise CrashError

    failpoints.set_hook(count_down)
    try:
        yield
    finally:
        failpoints.set_hook(None)


#: More lives than a consumer needs to come to the end of three records.
_MOST_LIVES = 20
#: Points at which a consumer can die while it writes a batch with a bad record, and while it reprocesses that one.
_POINTS_OF_A_BATCH = ("session.before_commit", "session.after_commit", "consumer.committed", "consumer.dead_lettered")
_POINTS_OF_REPROCESSING = ("consumer.dead_letter_written", *_POINTS_OF_A_BATCH[:2], "consumer.reprocessed")


class SinkConformance(ABC):
    """What every sink must do, on its own role and schema."""

    sink: Sink
    #: Whether `written` gives the order of writing; without it the order of the offsets is compared.
    keeps_order = True

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

    def _claim(self, database: Database, partition: int | None = None) -> Position:
        record = self.good(0)
        with database.transaction() as session:
            return positions.claim(
                session, topic=record.topic, partition=record.partition if partition is None else partition
            )

    def _state(self, database: Database) -> tuple[list[int], int | None]:
        """Return what is written and the next offset, as one transaction sees them."""
        with database.transaction() as session:
            row = session.fetch_one("select next_offset from positions")
            return self._in_order(self.written(session)), row["next_offset"] if row else None

    def _in_order(self, offsets: list[int]) -> list[int]:
        return offsets if self.keeps_order else sorted(offsets)

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

    def test_an_operator_sees_and_moves_its_positions_and_a_consumer_that_runs_notices(
        self, writer: SinkWriter, sink_database: Database, operator: Database
    ) -> None:
        position = asyncio.run(writer.write(self._claim(sink_database), [self.good(0), self.good(1)]))
        place = Place(sink=self.sink.schema, topic=position.topic, partition=position.partition)

        with operator.transaction() as session:
            (row,) = rows.read(session, [self.sink.schema])
            has_moved = rows.rewind(session, place, to=0)

        assert (row.place, row.next_offset, row.epoch) == (place, 2, position.epoch)
        assert self.sink.name == self.sink.schema, "operators find a sink by the schema of its positions"
        assert has_moved
        with sink_database.transaction() as session:
            assert positions.superseded(session, [position]) == [position]
        with pytest.raises(FenceLostError):
            asyncio.run(writer.write(position, [self.good(2)]))
        asyncio.run(writer.write(self._claim(sink_database), [self.good(0), self.good(1), self.good(2)]))
        assert self._state(sink_database) == ([0, 1, 2], 3)

    @pytest.fixture
    def operator(self, settings: AllSettings) -> Iterator[Database]:
        """Return the database as the operators' commands have it."""
        database = Database(settings.conninfo("operator", application_name="test"), size=2)
        database.open()
        yield database
        database.close()

    def _broken(self, *refused: int, order: str = "per_key") -> Any:
        return BrokenSink(self.sink, set(refused), order)

    def _write(self, sink: Sink, database: Database, records: Sequence[Record], *, kept: DeadLetterList) -> Position:
        writer = SinkWriter(sink, database, kept, on_written=lambda: None)
        return asyncio.run(writer.write(self._claim(database, records[0].partition), records))

    def _letters(self, database: Database) -> dict[int, str]:
        """Return the state of each dead letter by its offset."""
        query = "select kafka_offset, state from public.event_dead_letters order by kafka_offset"
        with database.transaction() as session:
            return {row["kafka_offset"]: row["state"] for row in session.fetch_all(query)}

    def _make_due(self, operator: Database, *offsets: int) -> int:
        """Make dead letters due as an operator does, and return how many were dead."""
        query = "select id, attempts from event_dead_letters where kafka_offset = any(%(offsets)s)"
        with operator.transaction() as session:
            found = {row["id"]: row["attempts"] for row in session.fetch_all(query, {"offsets": list(offsets)})}
            return len(store.make_due(session, found, operation_id=new_id(), due_from=clock.now()))

    def _discard(self, operator: Database, offset: int) -> None:
        query = "select id, attempts from event_dead_letters where kafka_offset = %(offset)s"
        with operator.transaction() as session:
            found = {row["id"]: row["attempts"] for row in session.fetch_all(query, {"offset": offset})}
            assert store.discard(session, found) == found.keys()

    def _reprocess(self, sink: Sink, database: Database, position: Position | None = None) -> list[int]:
        """Write what is due until nothing is, as the consumer's loop does; return the offsets in this order."""
        reprocessing, written = Reprocessing(sink, database), []
        position = position or self._claim(database)
        while due := reprocessing.due([position]):
            for letter in due:
                reprocessing.write(position, letter)
                written.append(letter["kafka_offset"])
        return written

    def test_a_bad_record_is_kept_with_its_bytes_its_place_and_its_error(
        self, writer: SinkWriter, sink_database: Database
    ) -> None:
        bad = self.bad(1)
        asyncio.run(writer.write(self._claim(sink_database), [self.good(0), bad]))

        with sink_database.transaction() as session:
            (row,) = session.fetch_all("select * from public.event_dead_letters")
        assert (row["sink"], row["topic"], row["partition"]) == (self.sink.name, bad.topic, bad.partition)
        assert (row["kafka_offset"], row["key"], row["value"]) == (1, bad.key, bad.value)
        assert (row["state"], row["attempts"]) == ("dead", 1)
        assert row["error_class"]
        assert row["error_message"]

    def test_a_bad_record_at_the_place_of_another_ones_dead_letter_is_not_passed(
        self, sink_database: Database, dead_letters: DeadLetterList
    ) -> None:
        self._write(self.sink, sink_database, [self.bad(0)], kept=dead_letters)
        self._write(self.sink, sink_database, [self.bad(0)], kept=dead_letters)  # After a rewind it is the same one.
        assert self._letters(sink_database) == {0: "dead"}

        wiped = replace(self.bad(0), value=b"another record, after Kafka was wiped")
        with pytest.raises(UnreadableError, match="offset 0 has the dead letter of another record"):
            self._write(self.sink, sink_database, [wiped], kept=dead_letters)

    @pytest.mark.parametrize("point", _POINTS_OF_A_BATCH)
    def test_a_consumer_that_dies_at_any_point_leaves_nothing_out_and_nothing_twice(
        self, point: str, sink_database: Database, dead_letters: DeadLetterList
    ) -> None:
        records = [self.good(0), self.bad(1), self.good(2)]
        for lives in range(1, _MOST_LIVES):  # Each life ends when it reaches the point for one time more.
            left = records[self._state(sink_database)[1] or 0 :]
            if not left:
                break
            with dying(point, lives), suppress(CrashError):
                self._write(self.sink, sink_database, left, kept=dead_letters)
            written, next_offset = self._state(sink_database)
            assert written == [offset for offset in (0, 2) if offset < (next_offset or 0)], "rows without the position"

        assert lives > 2, "it has died"
        assert self._state(sink_database) == ([0, 2], 3)
        assert self._letters(sink_database) == {1: "dead"}
        assert set(dead_letters.offsets) == {1}

    def test_a_due_dead_letter_is_written_once_for_all_who_ask_and_wherever_the_consumer_dies(
        self, sink_database: Database, operator: Database, dead_letters: DeadLetterList
    ) -> None:
        self._write(self._broken(1), sink_database, [self.good(n) for n in range(3)], kept=dead_letters)
        assert (self._state(sink_database), self._letters(sink_database)) == (([0, 2], 3), {1: "dead"})

        asked = [self._make_due(operator, 1), self._make_due(operator, 1)]
        for point in _POINTS_OF_REPROCESSING:
            with dying(point, 1), suppress(CrashError):
                self._reprocess(self.sink, sink_database)
        self._reprocess(self.sink, sink_database)

        assert asked == [1, 0]
        assert self._state(sink_database) == (self._in_order([0, 2, 1]), 3)
        assert self._letters(sink_database) == {1: "reprocessed"}
        assert self._make_due(operator, 1) == 0

    def test_a_due_dead_letter_on_which_the_sink_fails_again_is_dead_with_the_new_error(
        self, sink_database: Database, operator: Database, dead_letters: DeadLetterList
    ) -> None:
        self._write(self.sink, sink_database, [self.bad(0), self.good(1)], kept=dead_letters)

        self._make_due(operator, 0)
        assert self._reprocess(self.sink, sink_database) == [0]

        with operator.transaction() as session:
            row = session.fetch_one("select state, attempts, due_at from event_dead_letters")
        assert row == {"state": "dead", "attempts": 2, "due_at": None}
        assert (self._state(sink_database), dead_letters.offsets) == (([1], 2), [0])

    def test_a_zombie_writes_no_due_dead_letter(
        self, sink_database: Database, operator: Database, dead_letters: DeadLetterList
    ) -> None:
        zombie = self._write(self._broken(0), sink_database, [self.good(0)], kept=dead_letters)
        self._make_due(operator, 0)
        current = self._claim(sink_database)

        with pytest.raises(FenceLostError):
            self._reprocess(self.sink, sink_database, zombie)
        assert self._letters(sink_database) == {0: "due"}

        assert self._reprocess(self.sink, sink_database, current) == [0]

    def test_records_wait_behind_a_bad_one_of_their_key_only_where_the_order_is_strict(
        self, sink_database: Database, operator: Database, dead_letters: DeadLetterList
    ) -> None:
        one, other = (b"one", b"other")
        keys = [one, one, other, one, one, other]
        records = [replace(self.good(n), key=key) for n, key in enumerate(keys)]

        self._write(self._broken(1, order="strict"), sink_database, records, kept=dead_letters)

        assert self._letters(sink_database) == {1: "dead", 3: "waiting", 4: "waiting"}
        assert (self._state(sink_database), dead_letters.offsets) == (([0, 2, 5], 6), [1])
        assert self._reprocess(self._broken(order="strict"), sink_database) == []
        self._make_due(operator, 1)
        assert self._reprocess(self._broken(3, order="strict"), sink_database) == [1, 3], "the next one is bad itself"
        assert self._letters(sink_database) == {1: "reprocessed", 3: "dead", 4: "waiting"}
        self._discard(operator, 3)
        assert self._reprocess(self._broken(order="strict"), sink_database) == [4]
        assert self._letters(sink_database) == {1: "reprocessed", 3: "discarded", 4: "reprocessed"}
        assert self._state(sink_database) == (self._in_order([0, 2, 5, 1, 4]), 6)

    def test_the_order_of_records_of_different_keys_does_not_matter(
        self, sink_database: Database, dead_letters: DeadLetterList
    ) -> None:
        first, second = [self.good(0), self.good(1)], [replace(self.good(n), partition=1) for n in (2, 3)]

        for records in (second, first, first, second):
            self._write(self.sink, sink_database, records, kept=dead_letters)

        with sink_database.transaction() as session:
            assert sorted(self.written(session)) == [0, 1, 2, 3]

    def test_records_that_come_before_their_partition_is_open_are_dropped_and_written_when_they_come_again(
        self, settings: AllSettings, sink_database: Database
    ) -> None:
        consumer = Consumer(settings, self.sink, sink_database)
        tp = TopicPartition(settings.kafka_topic_prefix + self.good(0).topic, 0)
        position = replace(self._claim(sink_database), next_offset=0)

        async def receive() -> None:
            await consumer._fence.on_partitions_assigned([tp])
            await consumer._take(tp, [self._received(2, tp)])  # As the group's own offset says, which is ahead.
            consumer._fence.open(tp, position)
            await consumer._take(tp, [self._received(offset, tp) for offset in range(3)])
            await consumer._take(tp, [self._received(1, tp)])

        asyncio.run(receive())

        assert self._state(sink_database) == ([0, 1, 2], 3)

    def _received(self, offset: int, tp: TopicPartition) -> Any:
        record = self.good(offset)
        return SimpleNamespace(
            topic=tp.topic, partition=tp.partition, offset=offset, key=record.key, value=record.value, timestamp=None
        )
