"""Plain Dramatiq on RabbitMQ: its own broker, default middleware, `dramatiq` as its users start it.

`BENCH_VARIANT` chooses among `plain` (all defaults), `confirmed` (`confirm_delivery=True`) and `priorities` (a queue
with `x-max-priority`, and actors whose own priority orders the messages that a process has prefetched).
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from ops.dev.bench.peers import work
from ops.dev.bench.peers.addresses import amqp_url

_VARIANT = os.environ.get("BENCH_VARIANT", "plain")
_QUEUE = f"bench_dramatiq_{_VARIANT}"
_PRIORITIES = 10 if _VARIANT == "priorities" else None
_URGENT = 9

broker = RabbitmqBroker(url=amqp_url(), confirm_delivery=_VARIANT == "confirmed", max_priority=_PRIORITIES)
dramatiq.set_broker(broker)

_ACTORS = {
    "noop": dramatiq.actor(queue_name=_QUEUE, actor_name="noop")(work.noop),
    "insert": dramatiq.actor(queue_name=_QUEUE, actor_name="insert")(work.insert),
    "sleep": dramatiq.actor(queue_name=_QUEUE, actor_name="sleep", priority=100)(work.sleep),
    "urgent sleep": dramatiq.actor(queue_name=_QUEUE, actor_name="urgent_sleep", priority=0)(work.sleep),
}


class Client:
    """Sends messages one by one; Dramatiq has no other way."""

    def enqueue(self, kind: str, tags: Sequence[int], *, urgent: bool) -> float:
        """Publish the messages; return when the last one was sent, or confirmed."""
        actor = _ACTORS[f"urgent {kind}" if urgent else kind]
        options: dict[str, Any] = {"broker_priority": _URGENT if urgent else 0} if _PRIORITIES else {}
        for tag in tags:
            actor.send_with_options(args=(tag,), **options)
        return time.time()
