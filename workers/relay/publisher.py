"""Publish to RabbitMQ over one asynchronous connection: a batch in flight, each message confirmed and not returned."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pika
import pika.exceptions
import structlog
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.spec import Basic

from moneyflow.errors import UnavailableError
from moneyflow.gateways.rabbitmq import declare_topology

log = structlog.get_logger(__name__)

_CONFIRM_SECONDS = 30.0
_CONNECT_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A message on its way to an exchange; `properties.message_id` tells it from the others of its batch."""

    exchange: str
    routing_key: str
    body: bytes
    properties: pika.BasicProperties


@dataclass
class _Confirms:
    """What is in flight on one channel, by delivery tag."""

    waiting: dict[int, asyncio.Future[bool]] = field(default_factory=dict)
    returned: set[str] = field(default_factory=set)
    ids: dict[int, str] = field(default_factory=dict)
    next_tag: int = 1

    def expect(self, message_id: str) -> asyncio.Future[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.waiting[self.next_tag] = future
        self.ids[self.next_tag] = message_id
        self.next_tag += 1
        return future

    def settle(self, tag: int, *, multiple: bool, confirmed: bool) -> None:
        tags = [t for t in self.waiting if t <= tag] if multiple else [tag]
        for settled in tags:
            future, message_id = self.waiting.pop(settled, None), self.ids.pop(settled, "")
            # RabbitMQ confirms a message that it returned as unroutable too, after the return.
            lost = message_id in self.returned
            self.returned.discard(message_id)
            if future and not future.done():
                future.set_result(confirmed and not lost)

    def abandon(self) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.set_result(False)
        self.waiting.clear()


class Publisher:
    """One connection and one channel to RabbitMQ, made when needed and thrown away when anything is wrong with it."""

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters
        self._connection: AsyncioConnection | None = None
        self._channel: Channel | None = None
        self._confirms = _Confirms()

    async def publish(self, messages: Sequence[Outgoing]) -> list[bool]:
        """Publish all and return for each whether RabbitMQ has it: confirmed, and routed to a queue.

        Raises:
            UnavailableError: when there is no connection.
        """
        channel = await self.channel()
        futures = [self._confirms.expect(message.properties.message_id) for message in messages]
        try:
            for message in messages:
                channel.basic_publish(
                    message.exchange, message.routing_key, message.body, message.properties, mandatory=True
                )
        except pika.exceptions.AMQPError:
            log.warning("publish_failed", exc_info=True)
            self.close()
        done, pending = await asyncio.wait(futures, timeout=_CONFIRM_SECONDS)
        if pending:  # As through a memory alarm: RabbitMQ reads nothing that is published.
            log.warning("confirms_missing", messages=len(pending), seconds=_CONFIRM_SECONDS)
            self.close()
        results = [future in done and future.result() for future in futures]
        if not all(results):
            self.close()  # The next connection declares the topology anew, which somebody may have deleted.
        return results

    async def channel(self) -> Channel:
        """Return the open channel, connecting when there is none."""
        if self._channel is None or not self._channel.is_open:
            self.close()
            self._confirms = _Confirms()
            await self._connect()
        assert self._channel is not None
        return self._channel

    def close(self) -> None:
        """Throw the connection away; what was in flight counts as not published."""
        connection, self._connection, self._channel = self._connection, None, None
        self._confirms.abandon()
        if connection is not None and connection.is_open:
            connection.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Channel] = loop.create_future()
        confirms = self._confirms

        def fail(_: object, error: BaseException) -> None:
            confirms.abandon()
            if not opened.done():
                opened.set_exception(UnavailableError(f"no connection with RabbitMQ: {error!r}"))

        def confirming(channel: Channel) -> None:
            if not opened.done():
                opened.set_result(channel)

        def on_channel(channel: Channel) -> None:
            channel.add_on_close_callback(fail)
            channel.add_on_return_callback(_on_return(confirms))
            declare_topology(channel)
            channel.confirm_delivery(_on_confirm(confirms), callback=lambda _: confirming(channel))

        self._connection = AsyncioConnection(
            self._parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=on_channel),
            on_open_error_callback=fail,
            on_close_callback=fail,
            custom_ioloop=loop,
        )
        try:
            self._channel = await asyncio.wait_for(opened, _CONNECT_SECONDS)
        except TimeoutError as error:
            self.close()
            raise UnavailableError("RabbitMQ does not answer") from error


def _on_confirm(confirms: _Confirms) -> Callable[[Any], None]:
    def confirm(frame: Any) -> None:
        method = frame.method
        confirms.settle(method.delivery_tag, multiple=method.multiple, confirmed=isinstance(method, Basic.Ack))

    return confirm


def _on_return(confirms: _Confirms) -> Callable[..., None]:
    def returned(_: Channel, method: Basic.Return, properties: pika.BasicProperties, _body: bytes) -> None:
        log.error("unroutable", exchange=method.exchange, message_id=properties.message_id, reason=method.reply_text)
        confirms.returned.add(properties.message_id)

    return returned
