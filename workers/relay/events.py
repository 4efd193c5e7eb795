"""Event relay: publishes the outbox to Kafka in the order of its keys, and deletes what Kafka confirmed."""

import asyncio
import time
from collections.abc import Awaitable, Sequence

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform import failpoints
from moneyflow.platform.brokers.kafka import client_options
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.events import publication
from moneyflow.platform.settings import KafkaSettings
from workers.relay.published import record_published
from workers.relay.record_batches import BATCH_BYTES, RecordBatches, Sent

log = structlog.get_logger(__name__)

_EVENTS_CONFIRMED = failpoints.declare("relay.events_confirmed")
_EVENTS_DELETED = failpoints.declare("relay.events_deleted")

#: Rows, and bytes of their values, of one read.
BATCH = 2000
_READ_BYTES = 16 * 1024 * 1024
_POLL_SECONDS = 0.5
_SEND_SECONDS = 30.0
_STOP_SECONDS = 5.0
#: Seconds that a topic is skipped after it refused an event while others took theirs.
_REFUSED_SECONDS = 5.0


class EventRelay:
    """Publishes what waits in `outbox_events` with the idempotent producer.

    Any error makes the producer unusable: it may have lost its sequence, or its sender task may be dead. It is
    discarded, a new one is built, and the outbox is read again; a record that is sent twice has the same event id.
    """

    def __init__(self, connection: AsyncConnection[DictRow], settings: KafkaSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._refused: dict[str, float] = {}

    async def run_once(self) -> float:
        """Publish one batch; return the seconds to wait before the next, 0 when there may be more."""
        now = time.monotonic()
        self._refused = {topic: until for topic, until in self._refused.items() if until > now}
        rows = await publication.unpublished(
            self._connection, refused=self._refused.keys(), limit=BATCH, most_bytes=_READ_BYTES
        )
        if not rows:
            return _POLL_SECONDS
        confirmed, errors = await self._send(rows)
        failpoints.reach(_EVENTS_CONFIRMED)
        await publication.delete(self._connection, confirmed)
        failpoints.reach(_EVENTS_DELETED)
        sent = set(confirmed)
        record_published("event", [row["id"] for row in rows if row["sequence"] in sent])
        if errors:
            await self.close()
            self._refused |= dict.fromkeys(errors, time.monotonic() + _REFUSED_SECONDS) if confirmed else {}
            topic, error = next(iter(errors.items()))
            where = self._settings.kafka_bootstrap
            raise UnavailableError(f"Kafka at {where} did not take all events, as of {topic}: {error!r}") from error
        return 0

    async def close(self) -> None:
        """Discard the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), _STOP_SECONDS)
            except (TimeoutError, KafkaError) as error:
                log.warning("producer_stop_failed", server=self._settings.kafka_bootstrap, error=repr(error))

    async def _send(self, rows: Sequence[DictRow]) -> tuple[list[int], dict[str, BaseException]]:
        """Send all in order; return the rows that Kafka confirmed, and the first error of each topic.

        A topic that refuses one event delays its own later events, and no other topic's.
        """
        errors: dict[str, BaseException] = {}
        sent: list[Sent] = []
        try:
            batches = RecordBatches(await self._started(), self._settings, sent)
            async with asyncio.timeout(_SEND_SECONDS):
                for row in rows:
                    if row["topic"] not in errors:
                        await _noting(errors, row["topic"], batches.add(row))
                for topic in batches.open_topics():  # Of a topic with an error too: they are before it.
                    await _noting(errors, topic, batches.flush(topic))
                await asyncio.gather(*(batch.future for batch in sent), return_exceptions=True)
        except (KafkaError, OSError, TimeoutError) as error:
            confirmed = _confirmed(sent)
            errors |= {row["topic"]: error for row in rows if row["sequence"] not in confirmed}
        for batch in sent:
            if (failure := _failure(batch.future)) is not None:
                errors.setdefault(batch.topic, failure)
        return sorted(_confirmed(sent)), errors

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **client_options(self._settings, "relay"),
                client_id="money-flow-relay",
                enable_idempotence=True,
                acks="all",
                max_batch_size=BATCH_BYTES,
                request_timeout_ms=10_000,
                retry_backoff_ms=200,
            )
            try:
                await asyncio.wait_for(producer.start(), _SEND_SECONDS)
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


async def _noting(errors: dict[str, BaseException], topic: str, handing_over: Awaitable[None]) -> None:
    """Wait for it, and note an error as the topic's."""
    try:
        await handing_over
    except KafkaError as error:
        errors.setdefault(topic, error)


def _confirmed(sent: Sequence[Sent]) -> set[int]:
    """Return the rows that Kafka has confirmed."""
    return {
        sequence
        for batch in sent
        if batch.future.done() and not batch.future.cancelled() and batch.future.exception() is None
        for sequence in batch.sequences
    }


def _failure(future: "asyncio.Future[object]") -> BaseException | None:
    return future.exception() if future.done() and not future.cancelled() else None
