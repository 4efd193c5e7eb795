"""Each registered sink, from a backlog on its topics: the consumer's process, its peers, and the floor.

The consumer is measured by the positions that it has committed, from the first batch on, so no start-up is in a rate.
Each measurement begins with a database of its own.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from ops.dev.bench.events.history import history
from ops.dev.bench.events.registered import Sink
from ops.dev.bench.events.topics import Topics
from ops.dev.bench.jobs.plan import Plan
from ops.dev.bench.jobs.testbed import BenchError
from ops.dev.bench.peers.backlog import Rate
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import Identity, stop

_DATABASE = "money_flow_sink"
_MIB = 1024 * 1024
_LONGEST_SECONDS = 900.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02
_CREATE_COPY_TABLE = """
create table bench_copy (topic text, partition integer, kafka_offset bigint, id text, type text, subject text,
    time timestamptz, actor_id text, correlation_id text, key bytea, value bytea)
"""
_WRITTEN = SQL("select coalesce(sum(next_offset), 0)::bigint from {}.positions")


@dataclass(frozen=True, kw_only=True)
class Consumed:
    """The rate of a consumer's process, and the most memory that it had, in MiB."""

    rate: Rate
    peak_mib: float


class SinkTrials:
    """Measures of one sink, from the same backlog of `records` events."""

    def __init__(self, plan: Plan, sink: Sink, records: int) -> None:
        self._testbed, self._sink, self._records = plan.testbed, sink, records
        self._topics = Topics(plan.testbed, f"bench.{sink.name}_{records}.")
        self._topics.fill(history(sink.topics, records))

    def consumer(self) -> Consumed:
        """Measure the process that the product runs."""
        with self._new_database() as conninfo:
            environment = {**self._environment, "CONSUMER_METRICS_PORT": str(free_port())}
            process = self._testbed.spawn("consumers", self._sink.name, environment=environment)
            try:
                return self._watch(process, conninfo)
            finally:
                stop(process, seconds=_STOP_SECONDS)

    def peer(self, module: str, part: float = 1.0) -> Rate:
        """Measure a peer by the line that it prints, with a part of the backlog."""
        command = [sys.executable, "-m", module, self._sink.name, str(max(1, round(self._records * part)))]
        with self._new_database():
            done = subprocess.run(
                command, env=self._testbed.environment | self._environment, cwd=CHECKOUT, capture_output=True,
                text=True, check=False, timeout=_LONGEST_SECONDS,
            )  # fmt: skip
        if done.returncode:
            raise BenchError(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
        return Rate.of_line(done.stdout.splitlines()[-1])

    @property
    def _environment(self) -> dict[str, str]:
        return {**self._topics.environment, "POSTGRES_DB": _DATABASE}

    @contextmanager
    def _new_database(self) -> Iterator[str]:
        """Yield how to connect with an empty database of the product that has the floor's table too."""
        owner = self._testbed.settings.user("owner")
        role = self._testbed.settings.user(self._sink.role)
        with psycopg.connect(self._testbed.superuser_conninfo("postgres"), autocommit=True) as connection:
            connection.execute(SQL("drop database if exists {} with (force)").format(Identifier(_DATABASE)))
            connection.execute(SQL("create database {} template {} owner {}").format(
                Identifier(_DATABASE), Identifier(self._testbed.settings.postgres_db), Identifier(owner)))  # fmt: skip
        conninfo = self._testbed.superuser_conninfo(_DATABASE)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(_CREATE_COPY_TABLE)
            connection.execute(SQL("grant insert on bench_copy to {}").format(Identifier(role)))
            connection.execute("checkpoint")  # Its writes are not a part of the measurement.
        yield conninfo

    def _watch(self, process: Identity, conninfo: str) -> Consumed:
        """Wait until the positions are at the end, and sample the process's memory meanwhile."""
        query, peak, first = _WRITTEN.format(Identifier(self._sink.schema)), 0, 0
        began, deadline = 0.0, time.monotonic() + _LONGEST_SECONDS
        with psycopg.connect(conninfo, autocommit=True) as connection:
            while True:
                row = connection.execute(query).fetchone()
                written, now = row[0] if row else 0, time.monotonic()
                if not process.is_alive() or now > deadline:
                    raise BenchError(f"the consumer of {self._sink.name} has written {written} of {self._records}")
                peak = max(peak, psutil.Process(process.pid).memory_info().rss)
                if written and not first:
                    first, began = written, now
                if written >= self._records:
                    rate = Rate(records=written - first, seconds=now - began)
                    return Consumed(rate=rate, peak_mib=peak / _MIB)
                time.sleep(_POLL_SECONDS)
