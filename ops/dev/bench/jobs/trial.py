"""Trial: one system at work, with its relay if it has one, its clients and workers, and the times of its jobs."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

from moneyflow.platform import clock
from moneyflow.platform.ids import first_id
from ops.dev.bench.jobs.listener import Listener, Mark
from ops.dev.bench.jobs.systems import PROCESSES, System
from ops.dev.bench.jobs.testbed import BenchError, Testbed
from ops.dev.bench.peers.client import EnqueueRequest
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import Identity, stop, wait_until

_LONGEST_SECONDS = 180.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 15.0

_tags = count(1)


def spread(tags: range, clients: int) -> list[range]:
    """Split the tags into a part for each client."""
    size = -(-len(tags) // clients)
    return [part for start in range(0, len(tags), size) if (part := tags[start : start + size])]


def new_tags(number: int) -> range:
    """Return `number` tags that no job of this run has had."""
    first = next(_tags)
    for _ in range(number - 1):
        next(_tags)
    return range(first, first + number)


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    """When jobs were enqueued: the first call, and for each tag the time at which its enqueue returned."""

    began: float
    returned: dict[int, float]

    @property
    def per_second(self) -> float:
        """Return the jobs per second of all clients together."""
        return len(self.returned) / (max(self.returned.values()) - self.began)


class EnqueueClient:
    """A client process, which enqueues jobs on request."""

    def __init__(self, testbed: Testbed, system: System) -> None:
        with testbed.log("clients").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ops.dev.bench.peers.client", system.module],
                env=testbed.environment | dict(system.environment), cwd=CHECKOUT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def send(self, request: EnqueueRequest) -> None:
        """Start a request."""
        assert self._process.stdin
        self._process.stdin.write(request.line())
        self._process.stdin.flush()

    def answer(self) -> dict[str, list[float]]:
        """Wait for the answer; return when each enqueue was called and when it returned."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("a client process ended; the end of its log is below")
        found: dict[str, list[float]] = json.loads(line)
        return found

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Trial:
    """Runs one system on the testbed and measures it."""

    def __init__(self, testbed: Testbed, listener: Listener, system: System) -> None:
        self.testbed, self.listener, self.system = testbed, listener, system
        self.workers: list[Identity] = []
        #: The lowest id of the current millisecond: no job of this measurement has a lower one.
        self._first_id = first_id(clock.now())
        self._relay: Identity | None = None
        self._clients: list[EnqueueClient] = []

    def __enter__(self) -> Self:
        self.testbed.empty()
        if self.system.needs_relay:
            port = {"RELAY_METRICS_PORT": str(free_port())}
            self._relay = self.testbed.spawn("workers.relay", environment={**self.system.environment, **port})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop_workers()
        for client in self._clients:
            client.end()
        if self._relay:
            stop(self._relay, seconds=_STOP_SECONDS)
        if self.system.queue:
            self.testbed.purge(self.system.queue)

    def start_workers(self, processes: int = PROCESSES) -> None:
        """Start the worker processes, without waiting for them."""
        for command in self.system.commands(processes):
            port = {"WORKER_METRICS_PORT": str(free_port())}
            self.workers.append(self.testbed.spawn(*command, environment={**self.system.environment, **port}))

    def stop_workers(self) -> None:
        """Stop the worker processes as their users do, and wait for their end."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            stop(worker, seconds=_STOP_SECONDS)
        self.workers = []

    def clients(self, number: int) -> list[EnqueueClient]:
        """Return `number` clients, started and connected."""
        while len(self._clients) < number:
            self._clients.append(EnqueueClient(self.testbed, self.system))
        return self._clients[:number]

    def reset(self) -> None:
        """Start a new measurement: empty the tables and drop all marks."""
        self.testbed.empty()
        self.listener.clear()
        self._first_id = first_id(clock.now())

    def enqueue(
        self, kind: str, tags: range, *, clients: int = 1, together: int | None = None, urgent: bool = False
    ) -> "Enqueued":
        """Have clients enqueue in parallel at full speed; return the times of it."""
        lots = together or self.system.together
        parts = spread(tags, clients)
        started = self.clients(len(parts))
        for client, part in zip(started, parts, strict=True):
            client.send(EnqueueRequest(kind=kind, first_tag=part[0], count=len(part), together=lots, urgent=urgent))
        answers = [client.answer() for client in started]
        returned = {
            tag: moment
            for part, answer in zip(parts, answers, strict=True)
            for number, moment in enumerate(answer["returned"])
            for tag in part[number * lots : (number + 1) * lots]
        }
        return Enqueued(began=min(answer["called"][0] for answer in answers), returned=returned)

    def wait_published(self) -> None:
        """Wait until every job is where workers find it."""
        table = self.system.table
        if table is None:
            return
        if not wait_until(lambda: self._ask(table.unpublished) == [(0,)], seconds=_LONGEST_SECONDS):
            raise BenchError("not every job was published")

    def wait_ended(self, tags: range) -> tuple[list[Mark], float]:
        """Wait until all jobs have run; return their marks, and when the last job ended.

        The end is the time in the last finished row. A system without such rows ends with the return of its last
        handler, a few milliseconds before its ack.
        """
        marks = self.listener.wait_for(tags, seconds=_LONGEST_SECONDS)
        table = self.system.table
        if table is None:
            return marks, max(mark.ended for mark in marks)
        deadline = time.monotonic() + _LONGEST_SECONDS
        while (row := self._ask(table.finished)[0])[0] < len(tags):
            if time.monotonic() > deadline:
                raise BenchError(f"all {len(tags)} jobs have run, and only {row[0]} are finished")
            time.sleep(_POLL_SECONDS)
        ended: float = row[1]
        return marks, ended

    def _ask(self, query: Any) -> list[tuple[Any, ...]]:
        table = self.system.table
        return self.testbed.sql(query, database=table.database if table else None, first_id=self._first_id)
