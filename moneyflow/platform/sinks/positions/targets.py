"""Targets of skips and rewinds: which partitions of a sink move, and to where; found in Kafka before anything moves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moneyflow.platform.clock import rfc3339
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.settings import KafkaSettings
from moneyflow.platform.sinks.positions import kafka
from moneyflow.platform.sinks.positions.kafka import Range
from moneyflow.platform.sinks.positions.rows import SKIP, Row

BEGINNING = "beginning"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which partitions of a sink move to an offset, a time or the beginning; a skip without one leaves the gap."""

    sink: str
    topic: str | None = None
    partition: int | None = None
    to: int | datetime | str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the given parts, to be kept with the operation."""
        to = rfc3339(self.to) if isinstance(self.to, datetime) else self.to
        given = {"sink": self.sink, "topic": self.topic, "partition": self.partition, "to": to}
        return {name: value for name, value in given.items() if value is not None}

    def chosen(self, rows: list[Row]) -> list[Row]:
        """Return the rows of the target; raises NotFoundError when the sink has no such topic or partition."""
        found = [
            row
            for row in rows
            if self.topic in {None, row.place.topic} and self.partition in {None, row.place.partition}
        ]
        if not found:
            where = " ".join(str(part) for part in (self.topic, self.partition) if part is not None)
            raise NotFoundError(f"{self.sink} has no position in {where or 'any partition'}", about="position")
        return found


@dataclass(frozen=True, kw_only=True)
class Move:
    """The move of one position, and what Kafka has of the partition."""

    row: Row
    to: int
    range: Range

    def as_json(self) -> dict[str, Any]:
        """Return what is kept with the item."""
        return {
            "from": self.row.next_offset,
            "to": self.to,
            "oldest": self.range.oldest,
            "newest": self.range.newest,
            "gap": self.row.gap,
        }


def moves(settings: KafkaSettings, target: Target, rows: list[Row], *, verb: str) -> list[Move]:
    """Return where each of the rows would move; those that Kafka does not have are left out.

    Raises:
        InvalidInputError: the offset is not one that Kafka has, or would not move the position in the verb's direction.
        UnavailableError: Kafka does not answer.
    """
    keys = {row.place.key for row in rows}
    ranges = kafka.ranges(settings, keys)
    times = kafka.offsets_at(settings, keys, target.to) if isinstance(target.to, datetime) else {}
    found = []
    for row in rows:
        span = ranges.get(row.place.key)
        if span is None:
            continue
        to = target.to if isinstance(target.to, int) else times.get(row.place.key, span.oldest)
        if not span.oldest <= to <= span.newest:
            what = f"{row.place}: {to} is not in {span.oldest}..{span.newest}, which is what Kafka has"
            raise InvalidInputError(f"--to {to}: {what}")
        found.append(Move(row=row, to=to, range=span))
    if verb == SKIP:
        _check_skips(found, target)
    return found


def _check_skips(found: list[Move], target: Target) -> None:
    for move in found:
        offset = move.row.next_offset
        is_gap = move.row.gap is not None or (offset is not None and not _has(move.range, offset))
        if target.to is None and not is_gap:
            raise InvalidInputError(f"{move.row.place} has no gap; give --to with the offset to continue at")
        if not is_gap and offset is not None and move.to < offset:
            raise InvalidInputError(f"{move.row.place}: {move.to} is before its position {offset}; that is a rewind")


def _has(span: Range, offset: int) -> bool:
    return span.oldest <= offset <= span.newest
