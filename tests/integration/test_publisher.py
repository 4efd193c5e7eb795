"""The relay's connections with RabbitMQ: what is confirmed, what no queue took, and how deep a queue is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pika
import pytest

from moneyflow.platform.brokers.job_message import Outgoing
from moneyflow.platform.brokers.rabbitmq import connection_parameters
from moneyflow.platform.errors import UnavailableError
from moneyflow.settings import AllSettings
from ops.migrate import declare_queues
from tests.support import rabbitmq_admin
from tests.support.processes import free_port
from tests.support.servers import RealServers
from workers.relay.publisher import Publisher
from workers.relay.queue_depth import QueueDepths

T = TypeVar("T")


def _with_publisher(settings: AllSettings, work: Callable[[Publisher], Awaitable[T]]) -> T:
    async def run() -> T:
        publisher = Publisher(connection_parameters(settings, login="relay", name="test"))
        try:
            return await work(publisher)
        finally:
            publisher.close()
            await asyncio.sleep(0.05)  # The connection's goodbye.

    return asyncio.run(run())


def _message(number: int, routing_key: str = "jobs") -> Outgoing:
    return Outgoing(
        exchange="jobs",
        routing_key=routing_key,
        body=b"{}",
        properties=pika.BasicProperties(message_id=f"message {number}"),
    )


def test_a_batch_is_confirmed_and_is_in_the_queue(queues: AllSettings) -> None:
    confirmed = _with_publisher(queues, lambda publisher: publisher.publish([_message(n) for n in range(500)]))

    assert confirmed == [True] * 500
    assert rabbitmq_admin.ready(queues, "jobs") == 500


def test_only_what_no_queue_took_is_not_confirmed_and_the_next_batch_connects_again(queues: AllSettings) -> None:
    batch = [_message(n, "nowhere" if n in {1, 3} else "jobs") for n in range(5)]

    async def twice(publisher: Publisher) -> tuple[list[bool], list[bool]]:
        return await publisher.publish(batch), await publisher.publish([_message(9)])

    first, second = _with_publisher(queues, twice)

    assert first == [True, False, True, False, True]
    assert second == [True]
    assert rabbitmq_admin.ready(queues, "jobs") == 4


@pytest.mark.usefixtures("vhost")
def test_without_queues_nothing_counts_as_published_until_the_migration_has_declared_them(
    settings: AllSettings,
) -> None:
    async def before_and_after(publisher: Publisher) -> tuple[list[bool], list[bool]]:
        before = await publisher.publish([_message(1)])
        await asyncio.to_thread(declare_queues, settings)
        return before, await publisher.publish([_message(1)])

    assert _with_publisher(settings, before_and_after) == ([False], [True])
    assert rabbitmq_admin.ready(settings, "jobs") == 1


def test_a_channel_that_is_closed_confirms_nothing_more(queues: AllSettings) -> None:
    async def cut(publisher: Publisher) -> list[bool]:
        channel = await publisher.channel()
        channel.basic_publish("no such exchange", "", b"")  # RabbitMQ closes the channel for it.
        return await publisher.publish([_message(1)])

    assert _with_publisher(queues, cut) == [False]


def test_a_rabbitmq_that_is_down_is_reported(queues: AllSettings) -> None:
    down = queues.model_copy(update={"rabbitmq_port": free_port()})

    with pytest.raises(UnavailableError, match="no connection with RabbitMQ"):
        _with_publisher(down, lambda publisher: publisher.publish([_message(1)]))
    assert _with_publisher(down, lambda publisher: QueueDepths(publisher).ready("jobs")) is None


def test_a_queues_depth_is_known_also_when_it_was_deleted_and_asking_leaves_no_callbacks(
    queues: AllSettings, servers: RealServers
) -> None:
    async def ask(publisher: Publisher) -> tuple[list[int | None], int | None, int]:
        depths = QueueDepths(publisher)
        watchers: list[Any] = []
        channel = await publisher.channel()
        watch = channel.add_on_close_callback

        def count_and_watch(callback: Any) -> None:
            watchers.append(callback)
            watch(callback)

        channel.add_on_close_callback = count_and_watch
        await publisher.publish([_message(1), _message(2)])
        asked = [await depths.ready("jobs") for _ in range(5)]
        rabbitmq_admin.delete_queue(servers, queues.rabbitmq_vhost, "jobs")
        return asked, await depths.ready("jobs"), len(watchers)

    asked, after_deletion, watchers = _with_publisher(queues, ask)

    assert asked == [2] * 5
    assert after_deletion == 0
    assert watchers == 1
