"""What the peers of a sink share: the records of its topics, as the sink itself gets them, and a meter.

The clock of a meter starts with the first records, so that no start-up is in the rate.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from aiokafka import ConsumerRecord

from moneyflow.platform.brokers.kafka import client_options, topic_name
from moneyflow.platform.database import Database
from moneyflow.settings import AllSettings, load_all
from ops.dev.bench.events import registered
from ops.dev.bench.events.registered import sinks


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Records that were done in a time, without the first ones."""

    records: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Return the records per second."""
        return self.records / self.seconds

    @classmethod
    def of_line(cls, line: str) -> "Rate":
        """Read the line of a meter."""
        return cls(**json.loads(line))


class Meter:
    """Counts records that are done, up to a number."""

    def __init__(self, records: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._records = records
        self._clock = clock
        self._first = self._done = 0
        self._began = self._ended = 0.0

    def add(self, number: int) -> None:
        """Count records that are committed now."""
        self._ended = self._clock()
        if not self._done:
            self._began, self._first = self._ended, number
        self._done += number

    @property
    def is_full(self) -> bool:
        """Return whether all records are done."""
        return self._done >= self._records

    def line(self) -> str:
        """Return the line that the benchmark reads as a rate."""
        return json.dumps({"records": self._done - self._first, "seconds": self._ended - self._began})


class Backlog:
    """The backlog of a sink, for a group of consumers of its own, which begins with the oldest record."""

    def __init__(self, sink: str) -> None:
        self._settings: AllSettings = load_all()
        self.sink = sinks()[sink]
        self.topics = [topic_name(self._settings, topic) for topic in self.sink.topics]
        self.group = f"bench-{uuid4()}"
        self.client_options: dict[str, Any] = client_options(self._settings, "migrate")
        self.conninfo = self._settings.conninfo(self.sink.role, application_name="bench")

    def database(self) -> Database:
        """Return the sink's database, open."""
        database = Database(self.conninfo, size=1, schema=self.sink.schema)
        database.open()
        return database

    def record(self, record: ConsumerRecord) -> Any:
        """Return a record of Kafka as the sink gets it."""
        topic = record.topic.removeprefix(self._settings.kafka_topic_prefix)
        return registered.record(
            topic=topic, partition=record.partition, offset=record.offset, key=record.key, value=record.value
        )
