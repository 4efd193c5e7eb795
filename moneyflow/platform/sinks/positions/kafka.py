"""What Kafka knows of sinks: the range of each partition, the consumers of each group, and the next records."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from moneyflow.platform.brokers.kafka import client_options, describe_group, group_prefix
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.settings import KafkaSettings
from moneyflow.platform.sinks.positions.rows import Place

T = TypeVar("T")

#: A partition by its topic, as the contract names it, and its number.
Partition = tuple[str, int]

#: Seconds within which Kafka answers all questions of one look.
_SECONDS = 10.0
#: Seconds within which the next records are read; what comes later is unknown.
_RECORD_SECONDS = 3.0
#: Bytes of one partition's answer: a record is read, and not a megabyte of those after it.
_FETCH_BYTES = 64 * 1024
#: Where the members, and of each its id, host and assignment, are in Kafka's description of a group.
_GROUP, _MEMBERS = 1, 5
_ID, _HOST, _ASSIGNMENT = 0, 2, 4


@dataclass(frozen=True, kw_only=True)
class Range:
    """The oldest record that Kafka has of a partition, and the offset of the next one that is written to it."""

    oldest: int
    newest: int


@dataclass(frozen=True, kw_only=True)
class Member:
    """A consumer as Kafka's group knows it: its id there, and the address that it is connected from."""

    id: str
    host: str


@dataclass(frozen=True, kw_only=True)
class NextRecord:
    """The record at a position: when Kafka got it, in seconds since 1970, and its value."""

    written_at: float
    value: bytes | None


def ranges(settings: KafkaSettings, partitions: Collection[Partition]) -> dict[Partition, Range]:
    """Return the ranges of partitions; those that Kafka does not have are left out.

    Raises:
        UnavailableError: Kafka does not answer.
    """

    async def ask(client: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> dict[Partition, Range]:
        known = await _known(admin, settings, partitions)
        oldest, newest = await client.beginning_offsets(known), await client.end_offsets(known)
        return {one: Range(oldest=oldest[tp], newest=newest[tp]) for tp, one in known.items()}

    return _asked(settings, ask)


def offsets_at(settings: KafkaSettings, partitions: Collection[Partition], moment: datetime) -> dict[Partition, int]:
    """Return the offset of the first record that each partition got at or after a time; its end where there is none.

    Raises:
        UnavailableError: Kafka does not answer.
    """

    async def ask(client: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> dict[Partition, int]:
        known = await _known(admin, settings, partitions)
        ends = await client.end_offsets(known)
        found = await client.offsets_for_times(dict.fromkeys(known, round(moment.timestamp() * 1000)))
        return {one: found[tp].offset if found[tp] else ends[tp] for tp, one in known.items()}

    return _asked(settings, ask)


def consumers(settings: KafkaSettings, sinks: Iterable[str]) -> dict[Place, Member]:
    """Return the consumer that owns each partition of the sinks.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    prefix, groups = group_prefix(settings), [group_prefix(settings) + sink for sink in sinks]

    async def ask(_: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> dict[Place, Member]:
        answers = [answer for group in groups for answer in await describe_group(admin, group)]
        return {
            Place(sink=group[_GROUP].removeprefix(prefix), topic=topic, partition=number): _member(member)
            for answer in answers
            for group in answer.groups
            for member in group[_MEMBERS]
            for topic, number in _assigned(settings, member[_ASSIGNMENT])
        }

    return _asked(settings, ask)


def next_records(settings: KafkaSettings, positions: Mapping[Partition, int]) -> dict[Partition, NextRecord]:
    """Return the record at each position, where Kafka answers in time.

    Raises:
        UnavailableError: Kafka does not answer at all.
    """

    async def ask(client: AIOKafkaConsumer, _: AIOKafkaAdminClient) -> dict[Partition, NextRecord]:
        wanted = {TopicPartition(settings.kafka_topic_prefix + one[0], one[1]): one for one in positions}
        client.assign(list(wanted))
        for tp, one in wanted.items():
            client.seek(tp, positions[one])
        found: dict[Partition, NextRecord] = {}
        deadline = asyncio.get_running_loop().time() + _RECORD_SECONDS
        while len(found) < len(wanted) and asyncio.get_running_loop().time() < deadline:
            for tp, records in (await client.getmany(timeout_ms=200)).items():
                found.setdefault(wanted[tp], _next(records[0]))
                client.pause(tp)
        return found

    return _asked(settings, ask) if positions else {}


def _member(member: Sequence[Any]) -> Member:
    return Member(id=member[_ID], host=member[_HOST].removeprefix("/"))


def _next(record: ConsumerRecord) -> NextRecord:
    return NextRecord(written_at=record.timestamp / 1000, value=record.value)


def _assigned(settings: KafkaSettings, assignment: bytes) -> list[Partition]:
    if not assignment:  # The group is being rebalanced.
        return []
    partitions = ConsumerProtocolMemberAssignment.decode(assignment).partitions()
    return [(tp.topic.removeprefix(settings.kafka_topic_prefix), tp.partition) for tp in partitions]


async def _known(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, partitions: Collection[Partition]
) -> dict[TopicPartition, Partition]:
    """Return the partitions that Kafka has: it would be asked for the range of others without end."""
    prefix = settings.kafka_topic_prefix
    described = await admin.describe_topics(sorted({prefix + topic for topic, _ in partitions})) if partitions else []
    there = {(topic["topic"], one["partition"]) for topic in described for one in topic["partitions"]}
    wanted = {TopicPartition(prefix + topic, number): (topic, number) for topic, number in partitions}
    return {tp: one for tp, one in wanted.items() if tuple(tp) in there}


def _asked(settings: KafkaSettings, question: Callable[[AIOKafkaConsumer, AIOKafkaAdminClient], Awaitable[T]]) -> T:
    async def run() -> T:
        admin = AIOKafkaAdminClient(client_id="money-flow-operator", **_options(settings))
        client = AIOKafkaConsumer(
            client_id="money-flow-operator",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=_FETCH_BYTES,
            **_options(settings),
        )
        try:
            await admin.start()
            await client.start()
            return await question(client, admin)
        finally:
            await admin.close()
            await client.stop()

    try:
        return asyncio.run(asyncio.wait_for(run(), _SECONDS))
    except (KafkaError, OSError, TimeoutError) as error:
        raise UnavailableError(
            f"Kafka does not answer at {settings.kafka_bootstrap}; see whether it runs: {error!r}"
        ) from error


def _options(settings: KafkaSettings) -> dict[str, Any]:
    return {**client_options(settings, "operator"), "request_timeout_ms": round(_SECONDS * 1000)}
