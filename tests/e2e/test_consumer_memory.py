"""The memory of a consumer is bounded, whatever its lag and however large the records.

`make acceptance ARGS=events` does it with a backlog of 1,000,000 records, and keeps the memory.
"""

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.settings import AllSettings
from tests.support import tally
from tests.support.processes import Processes, free_port
from tests.support.waiting import eventually

_LARGE, _LARGE_BYTES = 200, 1_000_000
_LIMIT_MIB = 200


def _fill(settings: AllSettings, small: int) -> None:
    """Put large records into one partition and small ones into all."""

    async def send() -> None:
        name = topic_name(settings, USER_EVENTS)
        async with AIOKafkaProducer(**client_options(settings, "migrate"), linger_ms=20) as producer:
            for _ in range(_LARGE):
                await producer.send_and_wait(name, b"x" * _LARGE_BYTES, key=b"k", partition=0)
            for number in range(small):
                sent = await producer.send(name, b"any", key=b"k", partition=number % 3)
            await sent

    asyncio.run(send())


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(1800)
def test_a_consumer_with_a_long_backlog_of_small_and_large_records_stays_below_200_megabytes(
    topics: AllSettings, processes: Processes, pytestconfig: pytest.Config
) -> None:
    tally.create_tables(topics)
    small = pytestconfig.getoption("--backlog")
    _fill(topics, small)

    consumer = processes.plain(
        "-m", "tests.support.sabotage", "nothing", "consumers", "tally",
        CONSUMER_METRICS_PORT=str(free_port()), TALLY_BATCH_SECONDS="5",
    )  # fmt: skip
    eventually(lambda: tally.count(topics) == small + _LARGE, seconds=1200, what="the whole backlog is written")

    peak = _peak_mib(consumer._popen.pid)
    if folder := pytestconfig.getoption("--chaos-results"):
        figures = {"records": small + _LARGE, "large_records": _LARGE, "peak_mib": round(peak)}
        (Path(folder) / "consumer_memory.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    assert peak < _LIMIT_MIB
