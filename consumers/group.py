"""Kafka client of a sink's consumer group: how it is made, and how it leaves."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from consumers.sink import Sink
from moneyflow.platform.brokers.kafka import client_options, group_prefix
from moneyflow.platform.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: Records of one poll, and so of one transaction of the sink.
BATCH = 500
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
        heartbeat_interval_ms=round(session_seconds * 300),  # Three heartbeats fit into a session.
        max_poll_records=BATCH,
    )


async def leave(client: AIOKafkaConsumer) -> None:
    """Leave the group and close the client."""
    try:
        await asyncio.wait_for(client.stop(), _LEAVE_SECONDS)
    except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
        log.info("group_leave_failed", error=repr(error))
