"""How many messages lie ready in a queue, asked of RabbitMQ itself."""

import asyncio

from pika.channel import Channel

from moneyflow.errors import UnavailableError
from workers.relay.publisher import Publisher

_ANSWER_SECONDS = 10.0


class Depths:
    """Asks on a connection of its own: a queue that is missing closes the channel that asks."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._watched: Channel | None = None
        self._answer: asyncio.Future[int] | None = None

    async def ready(self, queue: str) -> int | None:
        """Return the number of ready messages, 0 for a queue that was deleted, None while RabbitMQ is away."""
        try:
            channel = await self._publisher.channel()
            if channel is not self._watched:
                channel.add_on_close_callback(lambda *_: self._set(0))
                self._watched = channel
            self._answer = asyncio.get_running_loop().create_future()
            channel.queue_declare(queue, passive=True, callback=lambda frame: self._set(frame.method.message_count))
            return await asyncio.wait_for(self._answer, _ANSWER_SECONDS)
        except (UnavailableError, TimeoutError):
            return None

    def _set(self, count: int) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(count)

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()
