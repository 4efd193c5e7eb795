"""`python -m ops.dev.bench.peers.bare_producer FILE`: the floor of the relay, aiokafka's producer with no database.

It sends the same bytes with the same keys, idempotent and with `acks=all`, as fast as the producer takes them.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import orjson
from aiokafka import AIOKafkaProducer

from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.events.contract import CONTENT_TYPE
from moneyflow.settings import load_all

_HEADERS = [("content-type", CONTENT_TYPE.encode())]
#: Records that are handed over before their confirms are waited for, so that memory stays bounded.
_IN_FLIGHT = 20_000


async def _main(lines: Sequence[bytes]) -> None:
    settings = load_all()
    fields = map(orjson.loads, lines)
    records = [(topic_name(settings, topic), key.encode(), value.encode()) for topic, key, value in fields]
    options = client_options(settings, "migrate")
    async with AIOKafkaProducer(**options, enable_idempotence=True, acks="all", max_batch_size=2**18) as producer:
        for start in range(0, len(records), _IN_FLIGHT):
            part = records[start : start + _IN_FLIGHT]
            await asyncio.gather(
                *[await producer.send(topic, value, key=key, headers=_HEADERS) for topic, key, value in part]
            )


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]).read_bytes().splitlines()))
