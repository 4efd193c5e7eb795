"""`python -m ops.dev.bench.peers.bare_copy SINK RECORDS`: the floor of a sink, aiokafka and COPY alone.

It reads the sink's topics, takes the columns out of the JSON, copies them into a table without an index, commits, and
then commits the offsets to Kafka's group. It checks nothing, and a crash between the two commits doubles the batch.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from ops.dev.bench.peers.backlog import Backlog, Meter

#: Records of one transaction.
BATCH = 2000
_COPY = "copy public.bench_copy from stdin (format binary)"
_TYPES = ("text", "int4", "int8", "text", "text", "text", "timestamptz", "text", "text", "bytea", "bytea")

Batches = Mapping[TopicPartition, Sequence[ConsumerRecord]]


def _row(record: ConsumerRecord) -> tuple[Any, ...]:
    event = orjson.loads(record.value)
    return (
        record.topic, record.partition, record.offset, event["id"], event["type"], event["subject"],
        datetime.fromisoformat(event["time"]), event.get("actorid"), event.get("correlationid"), record.key,
        record.value,
    )  # fmt: skip


def _copy(connection: psycopg.Connection, batches: Batches) -> None:
    with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for records in batches.values():
            for record in records:
                copy.write_row(_row(record))
    connection.commit()


async def _main(sink: str, number: int) -> None:
    backlog, meter = Backlog(sink), Meter(number)
    client = AIOKafkaConsumer(
        *backlog.topics, **backlog.client_options, group_id=backlog.group, auto_offset_reset="earliest",
        enable_auto_commit=False, max_poll_records=BATCH,
    )  # fmt: skip
    with psycopg.connect(backlog.conninfo) as connection:
        async with client:
            while not meter.is_full:
                batches: Batches = await client.getmany(timeout_ms=500)
                if batches:
                    await asyncio.to_thread(_copy, connection, batches)
                    await client.commit()
                    meter.add(sum(map(len, batches.values())))
    print(meter.line(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
