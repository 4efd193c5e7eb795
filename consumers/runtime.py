"""The life of an event in a consumer: polled, passed by the gate, written with its position, mirrored to the group.

1. A partition that was assigned is closed. Its position is claimed in the sink's own database with a new epoch, the
   consumer seeks to it, and the gate opens.
2. A batch of one partition is written by the sink, and its next offset with it, in one transaction, where the epoch
   is still ours: a zombie or a redelivery changes nothing.
3. The offset is mirrored to Kafka's group, for every tool that shows lag. Nothing relies on it.
4. A batch with bad data is written again record by record; the bad one alone goes to `events.dead_letter`.
5. A sink that is down makes the consumer wait. Its partitions are closed and begin again at 1; nothing is buried.
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import psycopg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumers import positions
from consumers.assignment import AssignmentFence
from consumers.dead_letter import DeadLetters
from consumers.positions import Position
from consumers.progress import Progress
from consumers.sink import Record, Sink
from moneyflow.platform.database import Database
from moneyflow.platform.errors import FenceLostError, PoisonError, UnavailableError
from moneyflow.platform.failpoints import reach
from moneyflow.platform.settings import Settings
from moneyflow.platform.telemetry import metrics

log = structlog.get_logger(__name__)

BATCH = 500
_POLL_MILLISECONDS = 500
_SESSION_SECONDS = 10
#: A partition that was taken over may really be another's: the group is given this many sessions to say so.
_TAKEN_OVER_SESSIONS = 1.5
_GAP_SECONDS = 30.0
_LONGEST_BACK_OFF_SECONDS = 5.0
_EVENTS_IN_LOG = 50
_STOP_SECONDS = 5.0
_MIRROR_SECONDS = 5.0
_MEASURE_EVERY_SECONDS = 1.0
_ANSWER_SECONDS = 5.0
#: A client that has failed in every turn for so long may be broken for good.
_REBUILD_SECONDS = 60.0
#: What says that a record is bad, whoever reads it and whenever; all else is the sink's or ours.
_BAD_DATA = (PoisonError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded, UnicodeError)


class Consumer:
    """Reads the topics of one sink until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        sink: Sink,
        database: Database,
        *,
        session_seconds: int = _SESSION_SECONDS,
        rebuild_seconds: float = _REBUILD_SECONDS,
    ) -> None:
        self._settings = settings
        self._prefix = settings.kafka_topic_prefix
        self._sink = sink
        self._database = database
        self._gate = AssignmentFence()
        self._dead_letters = DeadLetters(settings, sink=sink.name)
        self.progress = Progress(sink.name)
        self._kafka: AIOKafkaConsumer = None
        self._measured = 0.0
        self._session_seconds = session_seconds
        self._rebuild_seconds = rebuild_seconds

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set, then leave the group."""
        await self._join(stopping)
        back_off, good = 0.1, time.monotonic()
        try:
            while not stopping.is_set():
                try:
                    await self._turn()
                    back_off, good = 0.1, time.monotonic()
                except Exception as error:  # noqa: BLE001 - a bug too is logged whole and tried again; the lag tells
                    self._report(error)
                    await _wait(stopping, back_off)
                    back_off = min(back_off * 2, _LONGEST_BACK_OFF_SECONDS)
                if time.monotonic() - good > self._rebuild_seconds:
                    log.warning("kafka_client_rebuilt", failing_for_seconds=self._rebuild_seconds)
                    await self._leave()
                    await self._join(stopping)
                    good = time.monotonic()
        finally:
            await self._leave()
            await self._dead_letters.close()

    async def _leave(self) -> None:
        """Leave the group and throw the client away; while Kafka is away it is not waited for."""
        if self._kafka is None:
            return  # Asked to stop before it had joined.
        try:
            await asyncio.wait_for(self._kafka.stop(), _STOP_SECONDS)
        except (KafkaError, OSError, TimeoutError, asyncio.CancelledError) as error:
            log.info("left_without_goodbye", error=repr(error))

    async def _join(self, stopping: asyncio.Event) -> None:
        """Connect to Kafka and join the group, however long Kafka is away."""
        while not stopping.is_set():
            self.progress.turned()
            self._gate.forget()  # To claim what is another's by now would take it away from them.
            self._kafka = self._new_kafka()
            try:
                await self._kafka.start()
            except (KafkaError, OSError) as error:
                self.progress.waiting_for(f"Kafka: {error!r}")
                log.warning("waiting_for_kafka", error=repr(error))
                await self._leave()
                await _wait(stopping, 1.0)
            else:
                topics = [self._prefix + topic for topic in self._sink.topics]
                self._kafka.subscribe(topics, listener=self._gate)
                return

    def _new_kafka(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            group_id=f"{self._prefix}money-flow.{self._sink.name}",
            client_id=f"money-flow-{self._sink.name}",
            enable_auto_commit=False,
            # The sink's position decides; a partition that it does not know begins at the oldest record.
            auto_offset_reset="none",
            session_timeout_ms=self._session_seconds * 1000,
            heartbeat_interval_ms=self._session_seconds * 300,
            max_poll_records=BATCH,
        )

    async def _turn(self) -> None:
        """Open what waits, take one batch of each partition, write them."""
        self.progress.turned()
        for tp in self._gate.waiting():
            await self._open(tp)
        try:
            batches = await self._kafka.getmany(timeout_ms=_POLL_MILLISECONDS)
        except NoOffsetForPartitionError:
            return  # A partition came whose position is not claimed yet.
        except OffsetOutOfRangeError:
            self._gate.close_all(self._gate.positions())  # Opening them anew shows which one has the gap.
            raise
        left = dict(batches)
        try:
            for tp, records in batches.items():
                await self._take(tp, records)
                del left[tp]
        except BaseException:
            self._gate.close_all(left)  # What was polled and not written is polled again.
            raise
        await self._measure()

    async def _open(self, tp: TopicPartition) -> None:
        position = await asyncio.to_thread(self._claim, tp)
        if position.gap is not None:
            self._stand_still(tp, position.gap)
            return
        oldest = (await self._kafka.beginning_offsets([tp]))[tp]
        newest = (await self._kafka.end_offsets([tp]))[tp]
        if position.next_offset is None:
            position.next_offset = oldest
        if not oldest <= position.next_offset <= newest:
            gap = f"{position.topic} {tp.partition}: {position.next_offset} is not in {oldest}..{newest}"
            await asyncio.to_thread(self._stop, position, gap)
            self._stand_still(tp, gap)
            return
        self.progress.no_gap(tp)
        try:
            self._kafka.seek(tp, position.next_offset)
        except IllegalStateError:
            return  # Revoked meanwhile.
        self._gate.open(tp, position)
        await self._mirror(tp, position)

    def _stand_still(self, tp: TopicPartition, gap: str) -> None:
        log.error("gap", gap=gap, consequence="this partition stands still; see ops/runbooks/events.md")
        self.progress.gap(tp, gap)
        self._gate.close(tp, for_seconds=_GAP_SECONDS)

    async def _take(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        position, admitted = self._gate.position(tp), self._gate.admit(tp, records)
        dropped = len(records) - len(admitted)
        if dropped:
            metrics.consumer_events.labels(self._sink.name, "dropped").inc(dropped)
        if not admitted or position is None:
            return
        batch = [self._record(record) for record in admitted]
        try:
            await self._write(position, batch)
        except FenceLostError as error:
            log.warning("fence_lost", detail=error.detail)
            metrics.consumer_events.labels(self._sink.name, "fence_lost").inc(len(batch))
            self._gate.close(tp, for_seconds=_TAKEN_OVER_SESSIONS * self._session_seconds)
            return
        await self._mirror(tp, position)

    async def _write(self, position: Position, batch: Sequence[Record]) -> None:
        try:
            await asyncio.to_thread(self._commit, position, batch)
        except _BAD_DATA as error:
            if len(batch) > 1:
                for record in batch:
                    await self._write(position, [record])
                return
            await self._bury(position, batch[0], error)
        self.progress.moved()

    async def _bury(self, position: Position, record: Record, error: Exception) -> None:
        """Put the bad record aside first and move on second: a crash in between buries it twice, and loses nothing."""
        await self._dead_letters.put(record, error)
        reach("consumer.buried")
        await asyncio.to_thread(self._commit, position, [record], skip=True)
        metrics.consumer_events.labels(self._sink.name, "dead_lettered").inc()
        log.error("dead_lettered", topic=record.topic, partition=record.partition, offset=record.offset,
                  error=str(error))  # fmt: skip

    def _claim(self, tp: TopicPartition) -> Position:
        with self._database.transaction() as session:
            return positions.claim(session, topic=tp.topic.removeprefix(self._prefix), partition=tp.partition)

    def _stop(self, position: Position, gap: str) -> None:
        with self._database.transaction() as session:
            positions.stop(session, position, gap)

    def _commit(self, position: Position, batch: Sequence[Record], *, skip: bool = False) -> None:
        next_offset = batch[-1].offset + 1
        with self._database.transaction() as session:
            new = 0 if skip else self._sink.write(session, batch)
            positions.advance(session, position, next_offset=next_offset)
        reach("consumer.committed")
        position.next_offset = next_offset
        if not skip:
            self._tell(position, batch, new)

    def _tell(self, position: Position, batch: Sequence[Record], new: int) -> None:
        count = partial(metrics.consumer_events.labels, self._sink.name)
        count("written").inc(new)
        count("duplicate").inc(len(batch) - new)
        log.info(
            "batch_written",
            topic=position.topic,
            partition=position.partition,
            first_offset=batch[0].offset,
            records=len(batch),
            new=new,
            event_ids=[record.event_id() for record in batch[:_EVENTS_IN_LOG]],
        )

    async def _mirror(self, tp: TopicPartition, position: Position) -> None:
        try:
            await asyncio.wait_for(self._kafka.commit({tp: position.next_offset}), _MIRROR_SECONDS)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            log.info("mirror_failed", error=repr(error), consequence="tools show too high a lag for a while")

    async def _measure(self) -> None:
        """Ask Kafka where the partitions end, now and then: it tells the lag, and whether Kafka answers at all."""
        if time.monotonic() - self._measured < _MEASURE_EVERY_SECONDS:
            return
        open_now = self._gate.positions()
        ask = self._kafka.end_offsets(list(open_now)) if open_now else self._kafka.topics()
        try:
            ends = await asyncio.wait_for(ask, _ANSWER_SECONDS)
        except (KafkaError, TimeoutError) as error:
            raise UnavailableError(f"Kafka does not answer: {error!r}") from error
        self._measured = time.monotonic()  # Not before: a turn that does not ask would pass for a good one.
        lags = {
            (position.topic, tp.partition): max(0, ends[tp] - (position.next_offset or 0))
            for tp, position in open_now.items()
        }
        self.progress.lags(lags)

    def _report(self, error: Exception) -> None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | UnavailableError | KafkaError):
            self.progress.waiting_for(repr(error))
            log.warning("waiting", error=repr(error))
        else:
            self.progress.failing(repr(error))
            log.error("unexpected_error", exc_info=error)

    def _record(self, record: ConsumerRecord) -> Record:
        return Record(
            topic=record.topic.removeprefix(self._prefix),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
        )


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
