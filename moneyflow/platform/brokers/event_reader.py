"""Reader of events in Kafka for operators: it joins no group, commits nothing, and holds a bounded number of events."""

import heapq
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.errors import KafkaDownError
from moneyflow.platform.events.found import EventFilter, FoundEvent, read
from moneyflow.platform.events.topics import event_topics
from moneyflow.platform.settings import KafkaSettings

#: Milliseconds of one poll, after which a command that was stopped ends.
_POLL_MILLISECONDS = 500
#: Records of one poll: their values are a megabyte or a few.
_POLL_RECORDS = 2000
#: Milliseconds within which Kafka answers one request.
_REQUEST_MILLISECONDS = 10_000
#: An event is in Kafka soon after its own time, but not sooner; so much earlier a search begins to read.
_BEFORE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The newest events that match, the newest first; `read` of `records` were read when the time was over."""

    events: list[FoundEvent]
    read: int
    records: int

    @property
    def is_complete(self) -> bool:
        """Whether all that Kafka had when the search began was read."""
        return self.read >= self.records


async def tail(settings: KafkaSettings, chosen: EventFilter) -> AsyncIterator[FoundEvent]:
    """Yield the events that match as they come, from now on, or from `since` on.

    Raises:
        KafkaDownError: Kafka does not answer; it may answer later.
    """
    async with _client(settings, chosen) as (client, partitions):
        starts = await _starts(client, partitions, chosen.since) if chosen.since else await _ends(client, partitions)
        _seek(client, starts)
        while True:
            for records in (await client.getmany(timeout_ms=_POLL_MILLISECONDS, max_records=_POLL_RECORDS)).values():
                for event in _matching(settings, chosen, records):
                    yield event


async def search(
    settings: KafkaSettings,
    chosen: EventFilter,
    *,
    limit: int,
    seconds: float,
    on_progress: Callable[[int, int], object] = lambda *_: None,
) -> Found:
    """Read what Kafka keeps of a time, and return the newest `limit` events that match.

    It stops after `seconds`; `on_progress` gets the records that were read, and all that there are to read.

    Raises:
        KafkaDownError: Kafka does not answer.
    """
    async with _client(settings, chosen) as (client, partitions):
        ends = await _ends(client, partitions)
        starts = (
            await _starts(client, partitions, chosen.since - _BEFORE)
            if chosen.since
            else await client.beginning_offsets(partitions)
        )
        left = {tp: ends[tp] - starts[tp] for tp in partitions if ends[tp] > starts[tp]}
        total, deadline = sum(left.values()), time.monotonic() + seconds
        _seek(client, {tp: starts[tp] for tp in left})
        newest: list[tuple[datetime, str, int, int, FoundEvent]] = []
        while left and time.monotonic() < deadline:
            polled = await client.getmany(*left, timeout_ms=_POLL_MILLISECONDS, max_records=_POLL_RECORDS)
            for tp, records in polled.items():
                within = [record for record in records if record.offset < ends[tp]]
                for event in _matching(settings, chosen, within):
                    _keep(newest, event, limit=limit)
                left[tp] = ends[tp] - records[-1].offset - 1
            left = {tp: count for tp, count in left.items() if count > 0}
            on_progress(total - sum(left.values()), total)
        events = [event for *_, event in sorted(newest, key=lambda one: one[:4], reverse=True)]
        return Found(events=events, read=total - sum(left.values()), records=total)


def _keep(newest: list[tuple[datetime, str, int, int, FoundEvent]], event: FoundEvent, *, limit: int) -> None:
    """Keep an event in the heap, whose first one is the oldest."""
    place = (event.time or datetime.min.replace(tzinfo=UTC), event.topic, event.partition, event.offset, event)
    if len(newest) < limit:
        heapq.heappush(newest, place)
    elif place[:4] > newest[0][:4]:
        heapq.heapreplace(newest, place)


def _matching(settings: KafkaSettings, chosen: EventFilter, records: list[ConsumerRecord]) -> list[FoundEvent]:
    prefix = settings.kafka_topic_prefix
    found = [
        read(
            topic=record.topic.removeprefix(prefix),
            partition=record.partition,
            offset=record.offset,
            value=record.value,
            written_at=datetime.fromtimestamp(record.timestamp / 1000, UTC) if record.timestamp > 0 else None,
        )
        for record in records
        if chosen.may_match(record.value)
    ]
    return [event for event in found if chosen.matches(event)]


@asynccontextmanager
async def _client(
    settings: KafkaSettings, chosen: EventFilter
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """Yield a client that is assigned all partitions of the topics; errors of Kafka say that it does not answer."""
    options = {**client_options(settings, "operator"), "request_timeout_ms": _REQUEST_MILLISECONDS}
    client = AIOKafkaConsumer(
        client_id="money-flow-events", enable_auto_commit=False, auto_offset_reset="earliest", **options
    )
    admin = AIOKafkaAdminClient(client_id="money-flow-events", **options)
    topics = sorted(topic_name(settings, topic) for topic in chosen.topics or event_topics())
    try:
        await admin.start()
        described = await admin.describe_topics(topics)
        await admin.close()
        await client.start()
        partitions = [
            TopicPartition(one["topic"], part["partition"]) for one in described for part in one["partitions"]
        ]
        client.assign(partitions)
        yield client, partitions
    except (KafkaError, OSError) as error:
        where = settings.kafka_bootstrap
        raise KafkaDownError(f"Kafka does not answer at {where}; see whether it runs: {error!r}") from error
    finally:
        await client.stop()


async def _ends(client: AIOKafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    return dict(await client.end_offsets(partitions))


async def _starts(
    client: AIOKafkaConsumer, partitions: list[TopicPartition], since: datetime
) -> dict[TopicPartition, int]:
    """Return the first offset of each partition that Kafka got at or after a time; its end where there is none."""
    milliseconds = max(0, round(since.timestamp() * 1000))
    found, ends = (
        await client.offsets_for_times(dict.fromkeys(partitions, milliseconds)),
        await _ends(client, partitions),
    )
    return {tp: found[tp].offset if found[tp] else ends[tp] for tp in partitions}


def _seek(client: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    for tp, offset in offsets.items():
        client.seek(tp, offset)
