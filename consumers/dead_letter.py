"""Where bad records go: `events.dead_letter`, byte by byte as they came, with where they came from and why."""

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from consumers.sink import Record
from moneyflow.platform import clock
from moneyflow.platform.brokers.kafka import MAX_DEAD_LETTER_BYTES, topic_name
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.events.topics import DEAD_LETTER
from moneyflow.platform.settings import Settings

_MESSAGE_LIMIT = 1024


class DeadLetters:
    """Publishes bad records; the producer is made when the first one comes."""

    def __init__(self, settings: Settings, *, sink: str) -> None:
        self._settings = settings
        self._sink = sink
        self._producer: AIOKafkaProducer | None = None

    async def put(self, record: Record, error: Exception) -> None:
        """Publish one record and wait until Kafka has it.

        Raises:
            UnavailableError: Kafka does not take it; the record must be kept where it is.
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
                # Kafka's client takes no record of nothing at all; an empty key stands for that.
                key=record.key if record.key is not None or record.value is not None else b"",
                headers=[(name, text.encode(errors="backslashreplace")) for name, text in headers.items()],
            )
        except (KafkaError, OSError) as failure:
            await self.close()
            raise UnavailableError(f"Kafka takes no dead letter: {failure!r}") from failure

    async def close(self) -> None:
        """Close the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.kafka_bootstrap,
                client_id=f"money-flow-{self._sink}-dead-letters",
                enable_idempotence=True,
                acks="all",
                request_timeout_ms=10_000,
                max_request_size=MAX_DEAD_LETTER_BYTES,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer
