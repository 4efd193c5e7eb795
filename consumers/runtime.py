"""Consumer: the life of an event from Kafka to its sink.

1. An assigned partition is closed. Its position is claimed in the sink's own database with a new epoch, the consumer
   seeks to it, and the assignment fence opens it (`opening.py`).
2. A batch of one partition, of as many records or seconds as the sink declares (`batches.py`), is written by the sink,
   and its next offset with it, in one transaction, if the epoch is still ours: a zombie or a redelivery changes nothing
   (`writer.py`).
3. The offset is mirrored to Kafka's group, for every tool that shows lag. Nothing relies on it.
4. A batch with bad data is halved until the bad record is alone. It goes to the table of dead letters and to
   `events.dead_letter`, and what operators make due of that table is written again (`reprocessing.py`).
5. A sink or a Kafka that is down makes the consumer wait. Its partitions are closed and begin again at 1; nothing is
   dead-lettered. A record that only a newer version reads parks its partition until that version is deployed.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, cast

import psycopg
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumers import group, lag, metrics, waits
from consumers.assignment import AssignmentFence
from consumers.batches import Batches
from consumers.dead_letter import DeadLetters
from consumers.lag import Parked
from consumers.opening import PartitionOpener
from consumers.positions import Position
from consumers.progress import Progress
from consumers.reprocessing import Reprocessing
from consumers.sink import Record, Sink, batch_of
from consumers.writer import SinkWriter
from moneyflow.platform.database import Database
from moneyflow.platform.errors import (
    FenceLostError,
    KafkaDownError,
    PostgresDownError,
    UnavailableError,
    UnreadableError,
)
from moneyflow.platform.events.reporter import ReportError
from moneyflow.platform.settings import KafkaSettings

log = structlog.get_logger(__name__)

#: Seconds of one poll at most.
_POLL_SECONDS = 0.5
#: Seconds after which a parked partition is read again; normally a newer version of the consumer has replaced this one.
_PARKED_SECONDS = 60.0
#: Seconds between attempts after an error: the first, doubled up to the last.
_FIRST_BACK_OFF_SECONDS = 0.1
_LAST_BACK_OFF_SECONDS = 5.0
#: Seconds between looks at the ends of the partitions, which give the lag, and for dead letters that are due.
_LOOK_EVERY_SECONDS = 1.0


class Consumer:
    """Reads the topics of one sink until it is stopped.

    `session_seconds`: how long Kafka's group waits for a heartbeat before it gives the partitions to another consumer.
    `report_error` is called with each error of an iteration that is a bug; it returns at once.
    `rebuild_seconds`: a client that failed in every iteration for this long may be broken for good, and is replaced.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        sink: Sink,
        database: Database,
        *,
        session_seconds: float = 10.0,
        rebuild_seconds: float = 60.0,
        parked_seconds: float = _PARKED_SECONDS,
        report_error: ReportError = lambda _: None,
    ) -> None:
        self._report_error = report_error
        self._settings = settings
        self._prefix = settings.kafka_topic_prefix
        self._sink = sink
        self._batch = batch_of(sink)
        self._database = database
        self._session_seconds = session_seconds
        self._rebuild_seconds = rebuild_seconds
        self._parked_seconds = parked_seconds
        self._fence = AssignmentFence()
        self._batches = Batches(self._batch)
        self._dead_letters = DeadLetters(settings, sink=sink.name, role=sink.role)
        self.progress = Progress(sink.name)
        self._opener = PartitionOpener(
            database, self._fence, self.progress, prefix=self._prefix, server=settings.kafka_bootstrap
        )
        self._writer = SinkWriter(sink, database, self._dead_letters, on_written=self.progress.moved)
        self._reprocessing = Reprocessing(sink, database)
        self._kafka: AIOKafkaConsumer = None
        self._looked_at = 0.0
        #: Offsets that Kafka's group does not show yet.
        self._unmirrored: dict[TopicPartition, int] = {}
        self._parked: dict[TopicPartition, Parked] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Consume until `stopping` is set, then leave the group."""
        await self._join(stopping)
        back_off, last_success = _FIRST_BACK_OFF_SECONDS, time.monotonic()
        try:
            while not stopping.is_set():
                try:
                    await self._iterate(stopping)
                    back_off, last_success = _FIRST_BACK_OFF_SECONDS, time.monotonic()
                except Exception as error:  # noqa: BLE001 - a bug is logged and retried too; the lag and liveness show it
                    self._report(error)
                    last_success = time.monotonic() if _is_of_the_sink(error) else last_success
                    await waits.pause(stopping, back_off)
                    back_off = min(back_off * 2, _LAST_BACK_OFF_SECONDS)
                if time.monotonic() - last_success > self._rebuild_seconds:
                    log.warning("kafka_client_rebuilt", failing_for_seconds=self._rebuild_seconds)
                    await self._leave()
                    await self._join(stopping)
                    last_success = time.monotonic()
        finally:
            await self._mirror()
            await self._leave()
            await self._dead_letters.close()

    async def _leave(self) -> None:
        if self._kafka is not None:  # None when it was stopped before it had joined.
            await group.leave(self._kafka)

    async def _join(self, stopping: asyncio.Event) -> None:
        """Connect to Kafka and join the group; waits while Kafka is down."""
        while not stopping.is_set():
            self.progress.iterated()
            self._fence.clear()  # Another consumer may own those partitions by now; claiming them would fence it off.
            self._unmirrored.clear()
            self._kafka = group.new_client(self._settings, self._sink, session_seconds=self._session_seconds)
            try:
                await self._kafka.start()
            except (KafkaError, OSError) as error:
                self.progress.waiting_for(f"Kafka at {self._settings.kafka_bootstrap}: {error!r}")
                log.warning("kafka_join_failed", server=self._settings.kafka_bootstrap, error=repr(error))
                await self._leave()
                await waits.pause(stopping, 1.0)
            else:
                topics = [self._prefix + topic for topic in self._sink.topics]
                self._kafka.subscribe(topics, listener=self._fence)
                return

    async def _iterate(self, stopping: asyncio.Event) -> None:
        """Run one iteration: open closed partitions, read, write the batches that are ready, look around."""
        self.progress.iterated()
        if closed := self._fence.pending():
            await self._open(closed)
        for tp, records in (await self._read(stopping)).items():
            self._batches.add(tp, records)
        while ready := self._batches.take():
            await self._take_together(ready)
        if time.monotonic() - self._looked_at >= _LOOK_EVERY_SECONDS:
            await self._look()

    async def _open(self, closed: Sequence[TopicPartition]) -> None:
        for tp in closed:
            self._batches.drop(tp)
        for tp in await self._opener.open(self._kafka, closed):
            position = self._fence.position(tp)
            if position is not None and position.next_offset is not None:
                self._unmirrored[tp] = position.next_offset
        await self._mirror()

    async def _read(self, stopping: asyncio.Event) -> Mapping[TopicPartition, Sequence[ConsumerRecord]]:
        """Read records, unless a batch is ready: one that could not be written must not be joined by ever more."""
        seconds = self._batches.ready_in_seconds(at_most=_POLL_SECONDS)
        if not seconds:
            return {}
        reading = asyncio.ensure_future(
            self._kafka.getmany(
                timeout_ms=max(1, round(seconds * 1000)), max_records=self._batch.records * self._batch.together
            )
        )
        try:
            return await waits.unless(stopping, reading) or {}
        except NoOffsetForPartitionError:
            return {}  # A partition was assigned whose position is not claimed yet.
        except OffsetOutOfRangeError:
            self._fence.close_all(self._fence.positions())  # Opening them again shows which one has the gap.
            raise

    async def _take_together(self, ready: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Write a batch of each of these partitions; an error in one does not end the others."""
        unwritten = set(ready)

        async def take(tp: TopicPartition) -> None:
            await self._take(tp, ready[tp])
            unwritten.remove(tp)

        try:
            outcomes = await asyncio.gather(*map(take, ready), return_exceptions=True)
        finally:
            self._fence.close_all(unwritten)  # Read and not written: to be read again.
        for error in filter(None, outcomes):
            raise error

    async def _take(self, tp: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        position, admitted = self._fence.position(tp), self._fence.admit(tp, records)
        dropped = len(records) - len(admitted)
        if dropped:
            metrics.consumer_events.labels(self._sink.name, "dropped").inc(dropped)
        if not admitted or position is None:
            return
        batch = [self._record(record) for record in admitted]
        try:
            position = await self._writer.write(position, batch)
        except FenceLostError as error:
            self._lose(tp, error, records=len(batch))
            return
        except UnreadableError as error:
            self._park(tp, position, error)
            return
        self._parked.pop(tp, None)
        self._fence.advance(tp, position)
        self.progress.written_up_to(position.topic, tp.partition, batch[-1].written_at)
        self._unmirrored[tp] = batch[-1].offset + 1

    def _lose(self, tp: TopicPartition, error: FenceLostError, *, records: int) -> None:
        """Close a partition that may really be another consumer's: the group gets time to revoke it."""
        log.warning("fence_lost", detail=error.detail)
        metrics.consumer_events.labels(self._sink.name, "fence_lost").inc(records)
        self._fence.close(tp, for_seconds=1.5 * self._session_seconds)

    def _park(self, tp: TopicPartition, position: Position, error: UnreadableError) -> None:
        """Leave the partition where it is, and continue with the others."""
        log.warning("partition_parked", topic=position.topic, partition=tp.partition, reason=error.detail)
        metrics.consumer_events.labels(self._sink.name, "parked").inc()
        self._parked[tp] = Parked(position, reason=f"{position.topic} {tp.partition}: {error.detail}")
        self._fence.close(tp, for_seconds=self._parked_seconds)

    async def _look(self) -> None:
        """Mirror the positions, see which ones were moved, write dead letters that are due, and measure the lag."""
        await self._mirror()
        for tp in await self._opener.superseded():  # By an operator: no record need come to show it.
            self._lose(tp, FenceLostError(f"{tp.topic} {tp.partition}: its position was moved or claimed"), records=0)
        await self._reprocess()
        await self._measure_lag()
        # Not before: an iteration without an answer must not count as success.
        self._looked_at = time.monotonic()

    async def _mirror(self) -> None:
        """Commit to Kafka's group what was written of the partitions that are still ours."""
        offsets = {tp: offset for tp, offset in self._unmirrored.items() if self._fence.is_assigned(tp)}
        self._unmirrored.clear()
        if offsets:
            await group.mirror(self._kafka, offsets)

    async def _reprocess(self) -> None:
        """Write the dead letters that are due in the open partitions; those of others wait for their consumers."""
        open_now = {(position.topic, tp.partition): tp for tp, position in self._fence.positions().items()}
        for letter in await asyncio.to_thread(self._reprocessing.due, list(self._fence.positions().values())):
            tp = open_now[letter["topic"], letter["partition"]]
            position = self._fence.position(tp)
            if position is None:
                continue  # Revoked or lost meanwhile.
            try:
                await asyncio.to_thread(self._reprocessing.write, position, letter)
            except FenceLostError as error:
                self._lose(tp, error, records=1)

    async def _measure_lag(self) -> None:
        """Ask Kafka for the ends of the partitions: this gives the lag, and shows that Kafka answers."""
        self._parked = {tp: parked for tp, parked in self._parked.items() if self._fence.is_assigned(tp)}
        began = time.monotonic()
        measured = await lag.measure(
            self._kafka, self._fence.positions(), self._parked, server=self._settings.kafka_bootstrap
        )
        self.progress.parked([one.reason for one in self._parked.values()])
        self.progress.lags(measured.open, parked=measured.parked)
        caught_up = [place for place, records in measured.open.items() if not records]
        if caught_up and hasattr(self._sink, "caught_up"):
            await asyncio.to_thread(self._note_caught_up, caught_up, seconds_ago=time.monotonic() - began)

    def _note_caught_up(self, partitions: Sequence[tuple[str, int]], *, seconds_ago: float) -> None:
        with self._database.transaction() as session:
            cast("Any", self._sink).caught_up(session, partitions, seconds_ago=seconds_ago)

    def _report(self, error: Exception) -> None:
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | UnavailableError | KafkaError):
            self.progress.waiting_for(repr(error))
            log.warning(
                "consumer_paused",
                server=self._server(error),
                error=repr(error),
                consequence="it waits, and loses nothing",
            )
        else:
            self.progress.failing(repr(error))
            log.error("iteration_failed", exc_info=error)
            self._report_error(error)

    def _server(self, error: Exception) -> str | None:
        """Return the address of the server that the error is about; None for one that only the sink knows."""
        if isinstance(error, psycopg.Error | PostgresDownError):
            return self._database.server
        return self._settings.kafka_bootstrap if isinstance(error, KafkaError | KafkaDownError) else None

    def _record(self, record: ConsumerRecord) -> Record:
        return Record(
            topic=record.topic.removeprefix(self._prefix),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            written_at=record.timestamp / 1000 if record.timestamp and record.timestamp > 0 else None,
        )


def _is_of_the_sink(error: Exception) -> bool:
    """Return whether Postgres or what the sink writes to is down: a new client of Kafka would not help."""
    down = psycopg.OperationalError | psycopg.InterfaceError | UnavailableError
    return isinstance(error, down) and not isinstance(error, KafkaDownError)
