"""Assignment fence: a partition admits records from its claimed position on, and nothing before or after it is ours."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from consumers import assignment
from consumers.assignment import AssignmentFence
from consumers.positions import Position

_TP = TopicPartition("user.events", 0)
_AT_5 = Position(topic="user.events", partition=0, epoch=1, next_offset=5)


@pytest.fixture
def fence() -> AssignmentFence:
    """Return a fence to which the partition is assigned."""
    fence = AssignmentFence()
    asyncio.run(fence.on_partitions_assigned([_TP]))
    return fence


def _admitted(fence: AssignmentFence, *offsets: int) -> list[int]:
    records: list[Any] = [SimpleNamespace(offset=offset) for offset in offsets]
    return [record.offset for record in fence.admit(_TP, records)]


def test_an_assigned_partition_admits_nothing_until_it_is_opened(fence: AssignmentFence) -> None:
    assert fence.pending() == [_TP]
    assert _admitted(fence, 4, 5, 6) == []

    fence.open(_TP, _AT_5)

    assert fence.pending() == []
    assert _admitted(fence, 4, 5, 6) == [5, 6]


def test_a_partition_that_is_not_assigned_cannot_be_opened() -> None:
    fence = AssignmentFence()

    fence.open(_TP, _AT_5)

    assert fence.positions() == {}


def test_what_was_written_is_not_admitted_again(fence: AssignmentFence) -> None:
    fence.open(_TP, _AT_5)

    fence.advance(_TP, replace(_AT_5, next_offset=7))

    assert _admitted(fence, 5, 6, 7) == [7]


def test_a_partition_that_is_revoked_while_it_is_written_stays_closed(fence: AssignmentFence) -> None:
    fence.open(_TP, _AT_5)
    asyncio.run(fence.on_partitions_revoked([_TP]))

    fence.advance(_TP, replace(_AT_5, next_offset=7))
    fence.open(_TP, _AT_5)

    assert (fence.positions(), fence.pending()) == ({}, [])


def test_a_partition_that_was_taken_over_is_not_opened_before_its_time(
    fence: AssignmentFence, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(assignment, "time", SimpleNamespace(monotonic=lambda: now))
    fence.open(_TP, _AT_5)

    fence.close(_TP, for_seconds=15)

    assert (_admitted(fence, 5), fence.pending()) == ([], [])
    now = 115.0
    assert fence.pending() == [_TP]


def test_only_open_partitions_are_closed_together(fence: AssignmentFence) -> None:
    other = TopicPartition("user.events", 1)
    fence.open(_TP, _AT_5)

    fence.close_all([_TP, other])

    assert fence.pending() == [_TP]


def test_a_new_client_begins_without_any_partition(fence: AssignmentFence) -> None:
    fence.open(_TP, _AT_5)

    fence.clear()

    assert (fence.positions(), fence.pending()) == ({}, [])
