"""Dead letters of events: publishes bad records to `events.dead_letter`, byte by byte, with their origin and error."""

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumers.sink import Record
from moneyflow.platform import clock
from moneyflow.platform.brokers.kafka import MAX_DEAD_LETTER_BYTES, client_options, topic_name
from moneyflow.platform.errors import KafkaDownError
from moneyflow.platform.events.topics import DEAD_LETTER
from moneyflow.platform.settings import KafkaSettings

#: Characters of an error's text; the traceback is in the log.
_MESSAGE_LIMIT = 1024
#: Milliseconds until a request to Kafka counts as failed; the record is read again then.
_REQUEST_MILLISECONDS = 10_000


class DeadLetters:
    """Publishes bad records of one sink; its producer starts with the first one."""

    def __init__(self, settings: KafkaSettings, *, sink: str, role: str) -> None:
        self._settings = settings
        self._sink = sink
        self._role = role
        self._producer: AIOKafkaProducer | None = None

    async def put(self, record: Record, error: Exception) -> None:
        """Publish one record and wait for Kafka's confirm.

        Raises:
            KafkaDownError: Kafka did not confirm it; the record must be read again.
        """
        headers = {
            "x-original-topic": record.topic,
            "x-original-partition": str(record.partition),
            "x-original-offset": str(record.offset),
            "x-sink": self._sink,
            "x-error-class": type(error).__name__,
            "x-error-message": str(error)[:_MESSAGE_LIMIT],
            "x-failed-at": clock.rfc3339(clock.now()),
        }
        try:
            producer = await self._started()
            await producer.send_and_wait(
                topic_name(self._settings, DEAD_LETTER),
                record.value,
                # Kafka's client refuses a record without key and value; an empty key replaces the missing one.
                key=record.key if record.key is not None or record.value is not None else b"",
                headers=[(name, text.encode(errors="backslashreplace")) for name, text in headers.items()],
            )
        except (KafkaError, OSError) as failure:
            await self.close()
            where = self._settings.kafka_bootstrap
            raise KafkaDownError(f"Kafka at {where} did not confirm a dead letter: {failure!r}") from failure

    async def close(self) -> None:
        """Close the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **client_options(self._settings, self._role),
                client_id=f"money-flow-{self._sink}-dead-letters",
                enable_idempotence=True,
                acks="all",
                request_timeout_ms=_REQUEST_MILLISECONDS,
                max_request_size=MAX_DEAD_LETTER_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
