"""Celery on RabbitMQ: messages acked after their job, results not kept, everything else as by default.

`BENCH_VARIANT=priorities` gives its queue `x-max-priority` and lets a process prefetch one message a thread.
"""

import os
import time
from collections.abc import Sequence

from celery import Celery

from ops.dev.bench.peers import work
from ops.dev.bench.peers.addresses import amqp_url

_VARIANT = os.environ.get("BENCH_VARIANT", "plain")
_PRIORITIES = _VARIANT == "priorities"
_QUEUE = f"bench_celery_{_VARIANT}"
_URGENT = 9

app = Celery("bench", broker=amqp_url())
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_queue=_QUEUE,
    task_queue_max_priority=10 if _PRIORITIES else None,
    worker_prefetch_multiplier=1 if _PRIORITIES else 4,  # 4 is Celery's default.
)

_TASKS = {kind: app.task(function, name=kind) for kind, function in
          (("noop", work.noop), ("insert", work.insert), ("sleep", work.sleep))}  # fmt: skip


class Client:
    """Sends messages one by one; Celery has no other way."""

    def enqueue(self, kind: str, tags: Sequence[int], *, urgent: bool) -> float:
        """Publish the messages; return when the last one was sent."""
        options = {"priority": _URGENT if urgent else 0} if _PRIORITIES else {}
        for tag in tags:
            _TASKS[kind].apply_async((tag,), **options)
        return time.time()
