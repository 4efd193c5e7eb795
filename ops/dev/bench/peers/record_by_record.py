"""`python -m ops.dev.bench.peers.record_by_record SINK RECORDS`: the same sink, one record in a transaction.

Kafka's offsets are committed by aiokafka itself, every five seconds: the usual way to consume, which doubles what came
after the last commit when the process dies.
"""

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer

from moneyflow.platform.database import Database
from ops.dev.bench.events.registered import Sink
from ops.dev.bench.peers.backlog import Backlog, Meter


def _write(database: Database, sink: Sink, record: Any) -> None:
    with database.transaction() as session:
        sink.write(session, [record])


async def _main(name: str, number: int) -> None:
    backlog, meter = Backlog(name), Meter(number)
    database = backlog.database()
    client = AIOKafkaConsumer(
        *backlog.topics, **backlog.client_options, group_id=backlog.group, auto_offset_reset="earliest",
        enable_auto_commit=True,
    )  # fmt: skip
    async with client:
        while not meter.is_full:
            record = backlog.record(await client.getone())
            await asyncio.to_thread(_write, database, backlog.sink, record)
            meter.add(1)
    database.close()
    print(meter.line(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
