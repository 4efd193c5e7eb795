"""Batches of a consumer: full by records, bytes or age; a partition's next batch begins where the last one ended."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from consumers.batches import FULL_BYTES, Batches
from consumers.sink import Batch

_TP, _OTHER = TopicPartition("user.events", 0), TopicPartition("user.events", 1)


@pytest.fixture
def clock() -> list[float]:
    """Return the monotonic time, to be set."""
    return [100.0]


@pytest.fixture
def batches(clock: list[float]) -> Batches:
    return Batches(Batch(records=3, seconds=2), clock=lambda: clock[0])


def _records(*offsets: int, size: int = 1) -> Any:
    return [SimpleNamespace(offset=offset, key=None, value=b"x" * size) for offset in offsets]


def _taken(batches: Batches) -> list[int] | None:
    taken = list(batches.take().values())
    return [record.offset for record in taken[0]] if taken else None


def test_a_batch_is_ready_with_its_records_and_what_came_too_many_is_of_the_next_one(batches: Batches) -> None:
    batches.add(_TP, _records(1, 2))
    assert _taken(batches) is None

    batches.add(_TP, _records(3, 4))

    assert _taken(batches) == [1, 2, 3]
    assert _taken(batches) is None


def test_a_batch_is_ready_with_its_age_in_the_partition_that_has_waited(batches: Batches, clock: list[float]) -> None:
    batches.add(_TP, _records(1))
    clock[0] += 1.5
    batches.add(_OTHER, _records(7))
    assert batches.ready_in_seconds(at_most=9) == 0.5

    clock[0] += 0.5

    assert batches.ready_in_seconds(at_most=9) == 0
    assert _taken(batches) == [1]
    assert _taken(batches) is None


def test_a_batch_of_large_records_is_ready_before_it_has_its_records(batches: Batches) -> None:
    batches.add(_TP, _records(1, size=FULL_BYTES))

    assert _taken(batches) == [1]


def test_without_seconds_whatever_was_read_is_ready_at_once() -> None:
    batches = Batches(Batch())
    assert batches.ready_in_seconds(at_most=9) == 9

    batches.add(_TP, _records(1))

    assert batches.ready_in_seconds(at_most=9) == 0
    assert _taken(batches) == [1]


def test_records_of_a_partition_that_is_read_again_are_forgotten(batches: Batches, clock: list[float]) -> None:
    batches.add(_TP, _records(1, 2))

    batches.drop(_TP)
    batches.add(_TP, _records(1))
    clock[0] += 2

    assert _taken(batches) == [1]


def test_batches_that_are_taken_together_are_of_different_partitions() -> None:
    batches = Batches(Batch(records=2, together=2))
    batches.add(_TP, _records(1, 2, 3, 4))
    batches.add(_OTHER, _records(7))

    first, second = batches.take(), batches.take()

    assert {tp: [record.offset for record in records] for tp, records in first.items()} == {_TP: [1, 2], _OTHER: [7]}
    assert {tp: [record.offset for record in records] for tp, records in second.items()} == {_TP: [3, 4]}
