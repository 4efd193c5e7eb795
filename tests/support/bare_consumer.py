"""A bare consumer of aiokafka, as its documentation shows one: what a rebalance takes without anything of ours.

`python -m tests.support.bare_consumer GROUP FILE` appends a line of partition, time and process id to FILE for each
record.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.settings import load_all


async def _consume(group: str, path: Path) -> None:
    settings = load_all()
    client = AIOKafkaConsumer(
        topic_name(settings, USER_EVENTS),
        **client_options(settings, "migrate"),
        group_id=topic_name(settings, group),
        auto_offset_reset="earliest",
    )
    await client.start()
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with path.open("a", buffering=1, encoding="ascii") as lines:
        try:
            async for record in client:
                lines.write(f"{record.partition} {time.time()} {os.getpid()}\n")
        except asyncio.CancelledError:
            await client.stop()


if __name__ == "__main__":
    asyncio.run(_consume(sys.argv[1], Path(sys.argv[2])))
