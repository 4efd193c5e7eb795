"""A batch with a bad record is halved until the bad one is alone, in as few writes as halving needs."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from consumers.positions import Position
from consumers.sink import Batch, Record, batch_of, is_strict
from consumers.writer import SinkWriter
from moneyflow.platform.errors import PoisonError

_SIZES = (1, 2, 3, 5, 9, 10, 31, 33, 500)


class CountingSink:
    """Refuses batches with a bad record, and counts how often it is asked."""

    name = role = schema = "counting"
    topics = ("user.events",)

    def __init__(self, bad: set[int]) -> None:
        self._bad = bad
        self.writes = 0
        self.written: list[int] = []

    def write(self, _: Any, records: Sequence[Record]) -> int:
        self.writes += 1
        offsets = [record.offset for record in records]
        if self._bad.intersection(offsets):
            raise PoisonError("bad")
        self.written += offsets
        return len(records)


class AcceptingDatabase:
    """A database in which every statement succeeds."""

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        yield SimpleNamespace(execute=lambda *_: SimpleNamespace(rowcount=1), count_rows=lambda *_: 1)


class DeadLetterOffsets(list[int]):
    async def put(self, record: Record, _: Exception) -> None:
        self.append(record.offset)


def _write(sink: Any, size: int) -> list[int]:
    """Write a batch and return the offsets of its dead letters."""
    batch = [Record(topic="user.events", partition=0, offset=n, key=b"k", value=b"x") for n in range(size)]
    position, refused = Position(topic="user.events", partition=0, epoch=1, next_offset=0), DeadLetterOffsets()
    database: Any = AcceptingDatabase()
    asyncio.run(SinkWriter(sink, database, refused, on_written=lambda: None).write(position, batch))
    return refused


@pytest.mark.parametrize("size", _SIZES)
def test_one_bad_record_is_found_in_twice_log_2_n_and_one_writes_wherever_it_is(size: int) -> None:
    for bad in {*range(0, size, max(1, size // 20)), size - 1}:
        sink = CountingSink({bad})

        assert _write(sink, size) == [bad]

        assert sink.writes <= 2 * math.log2(size) + 1
        assert sink.written == [offset for offset in range(size) if offset != bad]


def test_several_bad_records_take_no_more_writes_than_each_alone() -> None:
    for bad in ({0, 1}, {0, 499}, {7, 8, 9, 250}, set(range(0, 500, 50))):
        sink = CountingSink(bad)

        assert _write(sink, 500) == sorted(bad)

        assert sink.writes <= len(bad) * (2 * math.log2(500) + 1)


def test_a_batch_that_fails_only_as_a_whole_is_written_and_nothing_of_it_is_a_dead_letter() -> None:
    class TogetherBad(CountingSink):
        def write(self, session: Any, records: Sequence[Record]) -> int:
            self._bad = {0} if len(records) > 2 else set()
            return super().write(session, records)

    sink = TogetherBad(set())

    assert _write(sink, 8) == []
    assert sink.written == list(range(8))


def test_a_sink_that_declares_nothing_has_the_usual_batches_and_order() -> None:
    sink: Any = CountingSink(set())
    strict: Any = SimpleNamespace(name="s", order="strict", batch=Batch(records=50, seconds=2))

    assert (batch_of(sink), is_strict(sink)) == (Batch(records=500, seconds=0), False)
    assert (batch_of(strict), is_strict(strict)) == (Batch(records=50, seconds=2), True)
    with pytest.raises(AssertionError, match="`order` is one of per_key, strict"):
        is_strict(SimpleNamespace(name="s", order="any"))
    with pytest.raises(ValueError, match="a batch has 1 to 10000 records"):
        Batch(records=0)
