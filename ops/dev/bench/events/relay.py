"""The relay, from a filled outbox to Kafka, and aiokafka's producer alone with the same bytes.

Both are measured by the records that the topics have, from the first that arrive, so no start-up is in a rate. The
relay's clock ends when the outbox is empty: what Kafka has confirmed is deleted too.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson
import psycopg

from moneyflow.events import event_topics
from moneyflow.platform.events.emit import OutboxRow
from ops.dev.bench.events.history import history
from ops.dev.bench.events.topics import Arrival, Topics
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.dev.bench.peers.backlog import Rate
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import stop

_STOP_SECONDS = 15.0
_LONGEST_SECONDS = 60.0
_POLL_SECONDS = 0.01
_FILL = "copy outbox_events (id, topic, key, value) from stdin (format binary)"
_EMPTY = "select not exists (select from outbox_events)"


class RelayTrials:
    """Measures of the same events, on topics of their own."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._testbed = plan, plan.testbed
        self._topics = Topics(plan.testbed, "bench.relay.")
        self._rows = list(history(event_topics(), plan.events))
        self._file = plan.testbed.folder / "events"
        _write(self._file, self._rows)

    def relay(self) -> Rate:
        """Measure the relay's process."""
        fill_outbox(self._testbed, self._rows)
        before = self._topics.records()
        ports = {"RELAY_METRICS_PORT": str(free_port())}
        process = self._testbed.spawn("workers.relay", environment={**self._topics.environment, **ports})
        try:
            arrival = self._topics.wait_for(len(self._rows), before=before)
            ended = _wait_empty(self._testbed)
        finally:
            stop(process, seconds=_STOP_SECONDS)
        return self._rate(arrival, ended)

    def bare_producer(self) -> Rate:
        """Measure aiokafka's producer."""
        before = self._topics.records()
        process = self._testbed.spawn(
            "ops.dev.bench.peers.bare_producer", str(self._file), environment=self._topics.environment
        )
        try:
            arrival = self._topics.wait_for(len(self._rows), before=before)
        finally:
            stop(process, seconds=_STOP_SECONDS)
        return self._rate(arrival, arrival.all_at)

    def _rate(self, arrival: Arrival, ended: float) -> Rate:
        return Rate(records=len(self._rows) - arrival.first_records, seconds=ended - arrival.first_at)


def fill_outbox(testbed: Testbed, rows: Sequence[OutboxRow]) -> None:
    """Put the rows into the outbox, in their order, as if they had been emitted."""
    with psycopg.connect(testbed.superuser_conninfo()) as connection, connection.cursor() as cursor:
        with cursor.copy(_FILL) as copy:
            copy.set_types(["uuid", "text", "text", "bytea"])
            for row in rows:
                copy.write_row((row.id, row.topic, row.key, row.value))
        connection.commit()
    testbed.sql("vacuum analyze outbox_events")
    testbed.sql("checkpoint")  # Its writes are not a part of the measurement.


def _wait_empty(testbed: Testbed) -> float:
    """Wait until the outbox is empty, and return when it was."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    with psycopg.connect(testbed.superuser_conninfo(), autocommit=True) as connection:
        while connection.execute(_EMPTY).fetchone() != (True,):
            if time.monotonic() > deadline:
                raise BenchError(f"the outbox was not empty within {_LONGEST_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
    return time.monotonic()


def _write(path: Path, rows: Iterable[OutboxRow]) -> None:
    """Write what the peer sends, one event a line."""
    with path.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps([row.topic, row.key, row.value.decode()]) + b"\n")
