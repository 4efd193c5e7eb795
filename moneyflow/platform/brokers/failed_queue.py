"""The queue side of dead letters, with kombu: look without losing order, remove some, move raw bytes with confirms.

Whoever looks is the queue's only consumer meanwhile: it gets every message and acks those that are to go. The others
go back to where they were when it is done, or killed.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from kombu.connection import Connection
from kombu.exceptions import ChannelError, OperationalError
from kombu.transport.pyamqp import Transport

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.brokers.rabbitmq import FAILED_QUEUE
from moneyflow.platform.errors import BusyError, UnavailableError
from moneyflow.platform.settings import Settings

_BATCH = 1000
_CONNECT_SECONDS = 5.0
_CONFIRM_SECONDS = 30.0
#: No message for so long, though more were counted: somebody else has taken them.
_SILENT_SECONDS = 3.0
#: How long to wait for another operator who looks through the queue.
_TURN_SECONDS = 30.0
_TURN_POLL_SECONDS = 0.25
#: How long to wait until RabbitMQ has put back what was only looked at.
_PUT_BACK_SECONDS = 5.0
_HEARTBEAT_SECONDS = 60
_ACCESS_REFUSED = 403

_ERRORS: tuple[type[Exception], ...] = (
    *Transport.connection_errors,
    *Transport.channel_errors,
    *Transport.recoverable_connection_errors,
    OperationalError,
)


class FailedQueue:
    """A connection with RabbitMQ for as long as the block lasts.

    Raises:
        UnavailableError: RabbitMQ is away, or went away.
        BusyError: somebody else consumes the queue: another operator, or a shovel.
    """

    def __init__(self, settings: Settings) -> None:
        self._reading = _connection(settings)
        self._publishing = _connection(settings)
        self._reader: Any = None
        self._writer: Any = None
        self._removed = 0

    def __enter__(self) -> Self:
        with _told():
            self._reading.connect()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for connection in (self._reading, self._publishing):
            with suppress(*_ERRORS):
                connection.release()
            with suppress(*_ERRORS):
                connection.collect(socket_timeout=1)  # RabbitMQ may have ended it: what is left of it is a socket.

    def depth(self) -> int:
        """Return how many messages lie ready in `jobs_failed`."""
        return self._state()[0]

    def look(self) -> Generator[list[FailedMessage], None, None]:
        """Yield all messages that lie there now, in their order and in batches.

        What is not removed stays where it is. Close the iterator when you leave it early.
        """
        found: deque[Any] = deque()
        with _told():
            total = self._begin_to_consume(found)
        seen = 0
        try:
            while seen < total and (batch := self._batch(found, at_most=total - seen)):
                seen += len(batch)
                yield batch
        finally:
            self._put_back(at_least=total - self._removed)

    def remove(self, letters: Iterable[FailedMessage], *, and_all_before: bool = False) -> None:
        """Drop messages of the look that is going on; `and_all_before` them too, which is faster."""
        with _told():
            tags = [letter.tag for letter in letters]
            for tag in tags[-1:] if and_all_before else tags:
                self._reader.basic_ack(tag, multiple=and_all_before)
            self._removed += len(tags)

    def put(self, letter: FailedMessage, *, exchange: str, routing_key: str) -> None:
        """Publish a message again, bytes and properties as they were, and return when RabbitMQ has it in a queue."""
        returned: list[object] = []

        def on_return(error: object, *_: object) -> None:
            returned.append(error)

        with _told():
            channel = self._publisher()
            channel.events["basic_return"] = {on_return}
            message = channel.prepare_message(letter.body, **letter.arguments())
            # In confirm mode this returns when RabbitMQ has confirmed; a message that it returns comes before that.
            channel.basic_publish(
                message, exchange=exchange, routing_key=routing_key, mandatory=True, confirm_timeout=_CONFIRM_SECONDS
            )
        if returned:
            raise UnavailableError(
                f"RabbitMQ has no queue behind the exchange {exchange!r}; run `python -m ops.migrate`"
            )

    def _begin_to_consume(self, found: "deque[Any]") -> int:
        """Become the only consumer, waiting for a turn, and return how many messages there are."""
        deadline = time.monotonic() + _TURN_SECONDS
        while True:
            count, consumers = self._state()
            if consumers == 0:
                self._removed, self._reader = 0, self._reading.channel()
                self._reader.auto_decode = False  # Bytes stay bytes, whatever encoding a message claims.
                try:
                    self._reader.basic_consume(FAILED_QUEUE, exclusive=True, callback=found.append)
                except ChannelError as error:
                    if error.reply_code != _ACCESS_REFUSED or "exclusive" not in str(error):
                        raise
                else:
                    return count
            if time.monotonic() > deadline:
                raise BusyError(
                    f"somebody else reads {FAILED_QUEUE}: another operator or a shovel; try again when it is done"
                )
            time.sleep(_TURN_POLL_SECONDS)

    def _batch(self, found: "deque[Any]", *, at_most: int) -> list[FailedMessage]:
        """Return the next messages; none when there are no more to come."""
        batch: list[FailedMessage] = []
        with _told():
            self._reading.heartbeat_check()
            while len(batch) < min(_BATCH, at_most):
                if not found:
                    try:
                        self._reading.drain_events(timeout=_SILENT_SECONDS)
                    except TimeoutError:
                        break
                while found and len(batch) < min(_BATCH, at_most):
                    batch.append(FailedMessage.from_message(found.popleft()))
        return batch

    def _put_back(self, *, at_least: int) -> None:
        """Give back what was not removed, and wait for a moment until it lies there again."""
        deadline = time.monotonic() + _PUT_BACK_SECONDS
        with suppress(*_ERRORS, UnavailableError):
            self._reader.close()
            while self.depth() < at_least and time.monotonic() < deadline:
                time.sleep(0.02)

    def _state(self) -> tuple[int, int]:
        """Return the queue's ready messages and consumers."""
        with _told():
            channel = self._reading.channel()
            answer = channel.queue_declare(FAILED_QUEUE, passive=True)
            channel.close()
        return answer.message_count, answer.consumer_count

    def _publisher(self) -> Any:
        """Return a channel of a connection of its own: a confirm must not wait behind messages that come in."""
        if self._writer is None:
            self._writer = self._publishing.channel()
        return self._writer


def _connection(settings: Settings) -> Any:
    return Connection(  # type: ignore[no-untyped-call]
        hostname=settings.rabbitmq_host,
        port=settings.rabbitmq_port,
        userid=settings.rabbitmq_user,
        password=settings.rabbitmq_password.get_secret_value(),
        virtual_host=settings.rabbitmq_vhost,
        transport="pyamqp",
        connect_timeout=_CONNECT_SECONDS,
        heartbeat=_HEARTBEAT_SECONDS,
        transport_options={"confirm_publish": True, "client_properties": {"connection_name": "moneyflow failed"}},
    )


@contextmanager
def _told() -> Iterator[None]:
    """Turn what kombu raises into our own errors."""
    try:
        yield
    except _ERRORS as error:
        raise UnavailableError(f"RabbitMQ does not do it: {error or type(error).__name__}") from error
