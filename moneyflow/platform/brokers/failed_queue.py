"""The queue `jobs_failed`, with kombu: browsed in its order, pruned, and its raw messages moved with confirms.

A pass over the queue is its only consumer: it receives every message and acks those that are removed. RabbitMQ puts the
others back in their places when the pass ends, also when its process is killed.
"""

import ssl
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from kombu.connection import Connection
from kombu.exceptions import ChannelError, OperationalError
from kombu.transport.pyamqp import Transport

from moneyflow.platform.brokers import amqp_decoding
from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.brokers.rabbitmq import DEAD_EXCHANGE, FAILED_QUEUE, JOBS_EXCHANGE, JOBS_QUEUE
from moneyflow.platform.errors import BusyError, UnavailableError
from moneyflow.platform.settings import RabbitmqSettings

amqp_decoding.install_for_kombu()

#: Messages that one batch of a pass holds.
_BATCH = 1000
#: Seconds to connect; RabbitMQ on a network answers in far less.
_CONNECT_SECONDS = 5.0
#: Seconds to wait for a confirm; a quorum of RabbitMQ nodes may need several.
_CONFIRM_SECONDS = 30.0
#: Seconds without a message, though more were counted, after which another tool must have removed them.
_SILENT_SECONDS = 3.0
#: Seconds to wait until another operator's pass has ended, and between two looks at it.
_BUSY_WAIT_SECONDS = 30.0
_BUSY_POLL_SECONDS = 0.25
#: Seconds to wait until RabbitMQ has put back what a pass has only read.
_REQUEUE_WAIT_SECONDS = 5.0
_REQUEUE_POLL_SECONDS = 0.02
#: Seconds without traffic after which RabbitMQ takes a connection for dead; a pass acts for longer than the default.
_HEARTBEAT_SECONDS = 60
#: AMQP's reply code when another consumer is exclusive.
_ACCESS_REFUSED = 403

_ERRORS: tuple[type[Exception], ...] = (
    *Transport.connection_errors,
    *Transport.channel_errors,
    *Transport.recoverable_connection_errors,
    OperationalError,
)


class FailedQueue:
    """A connection to RabbitMQ, open while its `with` block runs.

    Raises:
        UnavailableError: RabbitMQ is down, or the connection broke.
        BusyError: another consumer reads the queue: an operator's pass, or a shovel.
    """

    def __init__(self, settings: RabbitmqSettings, *, busy_wait_seconds: float = _BUSY_WAIT_SECONDS) -> None:
        self._busy_wait_seconds = busy_wait_seconds
        self._server = settings.rabbitmq_address
        self._reading = _connection(settings)
        self._publishing = _connection(settings)
        self._reader: Any = None
        self._writer: Any = None
        self._removed = 0

    def __enter__(self) -> Self:
        with _translated_errors(self._server):
            self._reading.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for connection in (self._reading, self._publishing):
            with suppress(*_ERRORS):
                connection.release()
            with suppress(*_ERRORS):
                connection.collect(socket_timeout=1)  # When RabbitMQ has closed it, the socket is still open.

    def depth(self) -> int:
        """Return how many messages are ready."""
        return self._ready_and_consumers()[0]

    @contextmanager
    def browse(self) -> Iterator[Iterator[list[FailedMessage]]]:
        """Yield the batches of all messages that are on the queue now, in their order.

        While the block runs, messages that were read can be removed. All others are back on the queue after it.
        """
        received: deque[Any] = deque()
        with _translated_errors(self._server):
            total = self._consume(received)
        try:
            yield self._batches(received, total)
        finally:
            self._requeue(at_least=total - self._removed)

    def remove(self, messages: Iterable[FailedMessage], *, and_all_before: bool = False) -> None:
        """Remove messages of the current pass; with `and_all_before` all that it has read, in one frame."""
        with _translated_errors(self._server):
            tags = [message.tag for message in messages]
            for tag in tags[-1:] if and_all_before else tags:
                self._reader.basic_ack(tag, multiple=and_all_before)
            self._removed += len(tags)

    def move_to_jobs(self, message: FailedMessage) -> None:
        """Publish a message of the current pass on `jobs`, then remove it; after a kill in between it is on both."""
        self.publish(message, exchange=JOBS_EXCHANGE, routing_key=JOBS_QUEUE)
        self.remove([message])

    def put_back(self, message: FailedMessage) -> None:
        """Publish a message on `jobs_failed`, as a dead letter from `jobs`."""
        self.publish(message, exchange=DEAD_EXCHANGE, routing_key=JOBS_QUEUE)

    def publish(self, message: FailedMessage, *, exchange: str, routing_key: str) -> None:
        """Publish a message with its bytes and properties as they are; returns when RabbitMQ has put it on a queue."""
        returned: list[object] = []

        def on_return(error: object, *_: object) -> None:
            returned.append(error)

        with _translated_errors(self._server):
            channel = self._publisher()
            channel.events["basic_return"] = {on_return}
            prepared = channel.prepare_message(message.body, **message.arguments())
            # In confirm mode this returns after RabbitMQ's confirm, which follows the return of an unroutable message.
            channel.basic_publish(
                prepared, exchange=exchange, routing_key=routing_key, mandatory=True, confirm_timeout=_CONFIRM_SECONDS
            )
        if returned:
            raise UnavailableError(
                f"RabbitMQ has no queue bound to the exchange {exchange!r}; declare the topology",
                about="topology",
            )

    def _consume(self, received: "deque[Any]") -> int:
        """Become the queue's only consumer, when the one before has ended, and return how many messages there are."""
        deadline = time.monotonic() + self._busy_wait_seconds
        while True:
            count, consumers = self._ready_and_consumers()
            if consumers == 0:
                self._removed, self._reader = 0, self._reading.channel()
                self._reader.auto_decode = False  # Bytes stay bytes, whatever encoding a message claims.
                try:
                    self._reader.basic_consume(FAILED_QUEUE, exclusive=True, callback=received.append)
                except ChannelError as error:
                    if error.reply_code != _ACCESS_REFUSED or "exclusive" not in str(error):
                        raise
                else:
                    return count
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{FAILED_QUEUE} is read by another operator or a shovel; repeat this when that has ended"
                )
            time.sleep(_BUSY_POLL_SECONDS)

    def _batches(self, received: "deque[Any]", total: int) -> Iterator[list[FailedMessage]]:
        seen = 0
        while seen < total and (batch := self._batch(received, at_most=total - seen)):
            seen += len(batch)
            yield batch

    def _batch(self, received: "deque[Any]", *, at_most: int) -> list[FailedMessage]:
        """Return the next messages; an empty batch when no more arrive."""
        batch: list[FailedMessage] = []
        with _translated_errors(self._server):
            self._reading.heartbeat_check()
            while len(batch) < min(_BATCH, at_most):
                if not received:
                    try:
                        self._reading.drain_events(timeout=_SILENT_SECONDS)
                    except TimeoutError:
                        break
                while received and len(batch) < min(_BATCH, at_most):
                    batch.append(FailedMessage.from_message(received.popleft()))
        return batch

    def _requeue(self, *, at_least: int) -> None:
        """Let RabbitMQ put back what was not removed, and wait until it is on the queue again, best effort."""
        deadline = time.monotonic() + _REQUEUE_WAIT_SECONDS
        with suppress(*_ERRORS, UnavailableError):
            self._reader.close()
            while self.depth() < at_least and time.monotonic() < deadline:
                time.sleep(_REQUEUE_POLL_SECONDS)

    def _ready_and_consumers(self) -> tuple[int, int]:
        """Return the queue's numbers of ready messages and of consumers."""
        with _translated_errors(self._server):
            channel = self._reading.channel()
            answer = channel.queue_declare(FAILED_QUEUE, passive=True)
            channel.close()
        return answer.message_count, answer.consumer_count

    def _publisher(self) -> Any:
        """Return a channel on a second connection: a confirm must not wait for the messages of a pass."""
        if self._writer is None:
            self._writer = self._publishing.channel()
        return self._writer


def _connection(settings: RabbitmqSettings) -> Any:
    user, password = settings.rabbitmq_login("operator")
    return Connection(  # type: ignore[no-untyped-call]
        # kombu joins host and port by a colon, and takes the last one apart again.
        hostname=f"[{settings.rabbitmq_host}]" if ":" in settings.rabbitmq_host else settings.rabbitmq_host,
        port=settings.rabbitmq_port,
        userid=user,
        password=password,
        ssl=_tls(settings) if settings.rabbitmq_tls else False,
        virtual_host=settings.rabbitmq_vhost,
        transport="pyamqp",
        connect_timeout=_CONNECT_SECONDS,
        heartbeat=_HEARTBEAT_SECONDS,
        transport_options={"confirm_publish": True, "client_properties": {"connection_name": "failed-queue"}},
    )


def _tls(settings: RabbitmqSettings) -> dict[str, object]:
    return {"ca_certs": settings.ca_file, "cert_reqs": ssl.CERT_REQUIRED, "server_hostname": settings.rabbitmq_host}


@contextmanager
def _translated_errors(server: str) -> Iterator[None]:
    """Raise kombu's errors as UnavailableError."""
    try:
        yield
    except _ERRORS as error:
        raise UnavailableError(
            f"RabbitMQ at {server} did not answer as expected: {error or type(error).__name__}"
        ) from error
