"""Queue depth: how many messages are ready in a queue, by RabbitMQ's own count."""

import asyncio

from pika.channel import Channel
from pika.exceptions import ChannelClosedByBroker

from moneyflow.platform.errors import UnavailableError
from workers.relay.publisher import Publisher

_ANSWER_SECONDS = 10.0
_NOT_FOUND = 404


class QueueDepths:
    """Asks on a connection of its own: a queue that is missing closes the channel that asks."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._watched: Channel | None = None
        self._answer: asyncio.Future[int | None] | None = None
        #: One question at a time: a channel that closes answers the one that was asked last.
        self._asking = asyncio.Lock()

    async def ready(self, queue: str) -> int | None:
        """Return the number of ready messages, 0 for a queue that was deleted, None while RabbitMQ is down."""
        async with self._asking:
            return await self._ready(queue)

    async def _ready(self, queue: str) -> int | None:
        try:
            channel = await self._publisher.channel()
            if channel is not self._watched:
                channel.add_on_close_callback(self._closed)
                self._watched = channel
            answer = self._answer = asyncio.get_running_loop().create_future()
            # Bound to its own question: an answer that comes too late must not be taken for the next one's.
            channel.queue_declare(
                queue, passive=True, callback=lambda frame: _settle(answer, frame.method.message_count)
            )
            return await asyncio.wait_for(answer, _ANSWER_SECONDS)
        except (UnavailableError, TimeoutError):
            return None

    def _closed(self, _: Channel, reason: Exception) -> None:
        """Answer: RabbitMQ closes the channel of who asks for a queue that is not there."""
        missing = isinstance(reason, ChannelClosedByBroker) and reason.reply_code == _NOT_FOUND
        if self._answer is not None:
            _settle(self._answer, 0 if missing else None)

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()


def _settle(answer: "asyncio.Future[int | None]", count: int | None) -> None:
    if not answer.done():
        answer.set_result(count)
