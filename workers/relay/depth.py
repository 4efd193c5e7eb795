"""How many messages lie ready in a queue, asked of RabbitMQ itself."""

import asyncio

from moneyflow.errors import UnavailableError
from workers.relay.publisher import Publisher

_ANSWER_SECONDS = 10.0


class Depths:
    """Asks on a connection of its own: a queue that is missing closes the channel that asks."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def ready(self, queue: str) -> int | None:
        """Return the number of ready messages, 0 for a queue that was deleted, None while RabbitMQ is away."""
        try:
            channel = await self._publisher.channel()
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            channel.add_on_close_callback(lambda *_: _set(answer, 0))
            channel.queue_declare(queue, passive=True, callback=lambda frame: _set(answer, frame.method.message_count))
            return await asyncio.wait_for(answer, _ANSWER_SECONDS)
        except (UnavailableError, TimeoutError):
            return None

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()


def _set(answer: "asyncio.Future[int]", count: int) -> None:
    if not answer.done():
        answer.set_result(count)
