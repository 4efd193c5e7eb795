"""Kafka client of a sink's consumer group: how it is made, what it mirrors to the group, and how it leaves."""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from consumers.sink import Sink
from moneyflow.platform.brokers.kafka import client_options, group_prefix
from moneyflow.platform.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: Bytes of one fetch: of a partition, a record of Kafka's usual maximum; and of all partitions of a broker. The client
#: holds one fetch of each, which bounds its memory, whatever the lag.
_PARTITION_BYTES, _FETCH_BYTES = 1024 * 1024, 16 * 1024 * 1024
#: Milliseconds that a broker waits for new records before it answers a fetch. The client sends a broker its requests
#: one after another: while partitions without records wait, neither the others are read nor the lag is measured.
_FETCH_WAIT_MILLISECONDS = 100
#: Heartbeats of a session. The group's leader is asked to rebalance in the answer to the next heartbeat: each member
#: pauses its partitions for as long.
_HEARTBEATS = 10
#: Seconds for a commit to Kafka's group; the position in the sink is committed already.
_MIRROR_SECONDS = 5.0
#: Seconds to leave the group; a Kafka that is down is not waited for.
_LEAVE_SECONDS = 5.0


def new_client(settings: KafkaSettings, sink: Sink, *, session_seconds: float) -> AIOKafkaConsumer:
    """Return a client that has not joined yet; it commits no offset by itself."""
    return AIOKafkaConsumer(
        **client_options(settings, sink.role),
        group_id=group_prefix(settings) + sink.name,
        client_id=f"money-flow-{sink.name}",
        enable_auto_commit=False,
        # The sink's position decides; a partition that it does not know begins at the oldest record.
        auto_offset_reset="none",
        session_timeout_ms=round(session_seconds * 1000),
        heartbeat_interval_ms=round(session_seconds * 1000 / _HEARTBEATS),
        fetch_max_wait_ms=_FETCH_WAIT_MILLISECONDS,
        max_partition_fetch_bytes=_PARTITION_BYTES,
        fetch_max_bytes=_FETCH_BYTES,
    )


async def mirror(client: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit offsets to the group, for tools that show lag; a failure is logged, and nothing relies on it."""
    try:
        await asyncio.wait_for(client.commit(dict(offsets)), _MIRROR_SECONDS)
    except (KafkaError, IllegalStateError, TimeoutError) as error:
        log.info("mirror_failed", error=repr(error), consequence="tools show too high a lag until the next one")


async def leave(client: AIOKafkaConsumer) -> None:
    """Leave the group and close the client."""
    try:
        await asyncio.wait_for(client.stop(), _LEAVE_SECONDS)
    except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
        log.info("group_leave_failed", error=repr(error))
