"""Publisher: one asynchronous connection to RabbitMQ, a batch in flight, each message confirmed and routed."""

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

from moneyflow.platform.brokers.job_message import Outgoing
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.settings import host_port

log = structlog.get_logger(__name__)

_CONFIRM_SECONDS = 30.0
_CONNECT_SECONDS = 15.0
#: Messages that are written before the event loop may send them.
_SENT_TOGETHER = 8


@dataclass
class _Confirms:
    """The unconfirmed messages of one channel: one batch, numbered in the order of sending."""

    first_tag: int = 1
    next_tag: int = 1
    ids: Sequence[str] = ()
    results: list[bool | None] = field(default_factory=list)
    left: int = 0
    returned: set[str] = field(default_factory=set)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _settled_below: int = 1

    def expect(self, ids: Sequence[str]) -> None:
        """Start a batch; the one before is complete."""
        self.first_tag, self.ids, self.results, self.left = self.next_tag, ids, [None] * len(ids), len(ids)
        self.next_tag += len(ids)
        self.done.clear()

    def settle(self, tag: int, *, multiple: bool, confirmed: bool) -> None:
        if not multiple:
            self._settle_one(tag, confirmed=confirmed)
            return
        for settled in range(self._settled_below, tag + 1):
            self._settle_one(settled, confirmed=confirmed)
        self._settled_below = tag + 1

    def abandon(self) -> None:
        self.done.set()

    def _settle_one(self, tag: int, *, confirmed: bool) -> None:
        place = tag - self.first_tag
        if not 0 <= place < len(self.results) or self.results[place] is not None:
            return
        # RabbitMQ confirms a message that it returned as unroutable too, after the return.
        lost = self.ids[place] in self.returned
        self.returned.discard(self.ids[place])
        self.results[place] = confirmed and not lost
        self.left -= 1
        if not self.left:
            self.done.set()


class Publisher:
    """One connection and one channel to RabbitMQ, opened when needed and discarded at any error."""

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters
        self._server = host_port(parameters.host, parameters.port)
        self._connection: AsyncioConnection | None = None
        self._channel: Channel | None = None
        self._confirms = _Confirms()

    async def publish(self, messages: Sequence[Outgoing]) -> list[bool]:
        """Publish all and return for each whether RabbitMQ has it: confirmed and routed. One batch at a time.

        Raises:
            UnavailableError: when there is no connection.
        """
        channel, confirms = await self.channel(), self._confirms
        confirms.expect([message.properties.message_id for message in messages])
        try:
            for number, message in enumerate(messages, 1):
                channel.basic_publish(
                    message.exchange, message.routing_key, message.body, message.properties, mandatory=True
                )
                if number % _SENT_TOGETHER == 0:
                    await asyncio.sleep(0)  # Else the first message would wait until the last is written.
        except pika.exceptions.AMQPError:
            log.warning("publish_failed", server=self._server, exc_info=True)
            self.close()
        try:
            await asyncio.wait_for(confirms.done.wait(), _CONFIRM_SECONDS)
        except TimeoutError:  # As through a memory alarm: RabbitMQ reads nothing that is published.
            log.warning("confirms_missing", server=self._server, messages=confirms.left, seconds=_CONFIRM_SECONDS)
        results = [result is True for result in confirms.results]
        if not all(results):
            self.close()
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
        """Discard the connection; what was in flight counts as not published."""
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
                opened.set_exception(UnavailableError(f"no connection with RabbitMQ at {self._server}: {error!r}"))

        def confirming(channel: Channel) -> None:
            if not opened.done():
                opened.set_result(channel)

        def on_channel(channel: Channel) -> None:
            channel.add_on_close_callback(fail)
            channel.add_on_return_callback(_on_return(confirms))
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
            raise UnavailableError(f"RabbitMQ at {self._server} does not answer") from error


def _on_confirm(confirms: _Confirms) -> Callable[[Any], None]:
    def confirm(frame: Any) -> None:
        method = frame.method
        confirms.settle(method.delivery_tag, multiple=method.multiple, confirmed=isinstance(method, Basic.Ack))

    return confirm


def _on_return(confirms: _Confirms) -> Callable[..., None]:
    def returned(_: Channel, method: Basic.Return, properties: pika.BasicProperties, _body: bytes) -> None:
        log.error(
            "message_unroutable", exchange=method.exchange, message_id=properties.message_id, reason=method.reply_text,
            action="declare the queues: python -m ops.migrate",
        )  # fmt: skip
        confirms.returned.add(properties.message_id)

    return returned
