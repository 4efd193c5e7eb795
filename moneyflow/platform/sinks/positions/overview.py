"""The overview of sinks: each partition with its position, its consumer, its lag, and what it waits for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from moneyflow.platform.database import Database
from moneyflow.platform.errors import PoisonError, UnreadableError
from moneyflow.platform.events import envelope
from moneyflow.platform.events.contract import registry
from moneyflow.platform.settings import KafkaSettings
from moneyflow.platform.sinks.positions import kafka, rows
from moneyflow.platform.sinks.positions.kafka import Member, NextRecord, Range
from moneyflow.platform.sinks.positions.rows import Place, Row

#: The states of a partition: what an operator has to act on comes first.
STOPPED, NO_CONSUMER, PARKED, BEHIND, UP_TO_DATE = "stopped", "no consumer", "parked", "behind", "up to date"


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition of a sink. `lag` is in records, `lag_seconds` the age of the next one; None is unknown.

    `why` says why it is stopped or parked.
    """

    sink: str
    topic: str
    partition: int
    state: str
    lag: int | None
    lag_seconds: float | None
    next_offset: int | None
    oldest: int | None
    newest: int | None
    consumer: Member | None
    why: str | None


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What is known of a partition; the range is None where Kafka does not have it."""

    place: Place
    row: Row | None
    consumer: Member | None
    range: Range | None

    @property
    def next_offset(self) -> int | None:
        """The next offset; of a sink that has written nothing yet, the oldest one."""
        if self.row and self.row.next_offset is not None:
            return self.row.next_offset
        return self.range.oldest if self.range else None

    @property
    def unread(self) -> int | None:
        """The offset of the next record; None when Kafka has none there."""
        offset, span = self.next_offset, self.range
        return offset if offset is not None and span and span.oldest <= offset < span.newest else None

    @property
    def gap(self) -> str | None:
        """Why the partition is stopped, or will be as soon as a consumer opens it."""
        if self.row and self.row.gap:
            return self.row.gap
        offset, span = self.next_offset, self.range
        if offset is None or span is None or span.oldest <= offset <= span.newest:
            return None
        return f"{self.place.topic} {self.place.partition}: {offset} is not in {span.oldest}..{span.newest}"


def overview(settings: KafkaSettings, database: Database, *, sink: str | None = None) -> list[Partition]:
    """Return every partition of all sinks, or of one; import the contracts (`moneyflow.events`) first.

    Raises:
        InvalidInputError: there is no such sink.
        UnavailableError: Kafka does not answer.
    """
    with database.transaction() as session:
        if sink is not None:
            rows.check_sink(session, sink)
        names = [sink] if sink is not None else rows.sinks(session)
        known = {row.place: row for row in rows.read(session, names)}
    consumers = kafka.consumers(settings, names)
    places = sorted({*known, *consumers})
    ranges = kafka.ranges(settings, {place.key for place in places})
    facts = [
        _Facts(place=place, row=known.get(place), consumer=consumers.get(place), range=ranges.get(place.key))
        for place in places
    ]
    of_sinks = [[one for one in facts if one.place.sink == name] for name in names]
    return [partition for of_sink in of_sinks for partition in _of_sink(settings, of_sink)]


def _of_sink(settings: KafkaSettings, facts: list[_Facts]) -> list[Partition]:
    unread = {one.place.key: one.unread for one in facts if one.unread is not None}
    records = kafka.next_records(settings, unread)
    return [_partition(one, records) for one in facts]


def _partition(facts: _Facts, records: Mapping[tuple[str, int], NextRecord]) -> Partition:
    record = records.get(facts.place.key)
    parked = _parked(record.value) if record else None
    lag = max(0, facts.range.newest - facts.next_offset) if facts.range and facts.next_offset is not None else None
    return Partition(
        sink=facts.place.sink,
        topic=facts.place.topic,
        partition=facts.place.partition,
        state=_state(facts, lag=lag, parked=parked),
        lag=lag,
        lag_seconds=0.0 if lag == 0 else max(0.0, time.time() - record.written_at) if record else None,
        next_offset=facts.next_offset,
        oldest=facts.range.oldest if facts.range else None,
        newest=facts.range.newest if facts.range else None,
        consumer=facts.consumer,
        why=facts.gap or parked,
    )


def _state(facts: _Facts, *, lag: int | None, parked: str | None) -> str:
    if facts.gap:
        return STOPPED
    if facts.consumer is None:
        return NO_CONSUMER
    if parked:
        return PARKED
    return BEHIND if lag else UP_TO_DATE


def _parked(value: bytes | None) -> str | None:
    """Return why a sink that reads the data of events waits at a record: only another version reads it."""
    try:
        event = envelope.read(value)
        if contract := registry.get(event.type):
            contract.from_envelope(event)
    except UnreadableError as error:
        return error.detail
    except PoisonError:
        return None
    return None
