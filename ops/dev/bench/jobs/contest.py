"""One contestant at work: its relay where it has one, its clients, its workers, and when its jobs had ended."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

from ops.dev.bench.jobs.contestants import PROCESSES, Contestant
from ops.dev.bench.jobs.ground import BenchError, Ground
from ops.dev.bench.jobs.listener import Listener, Mark
from ops.dev.bench.peers.client import Wish
from ops.dev.stack.home import CHECKOUT
from ops.dev.stack.ports import free_port
from ops.dev.stack.processes import Identity, stop, wait_until

_LONGEST_SECONDS = 180.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 15.0

_tags = count(1)


def spread(tags: range, clients: int) -> list[range]:
    """Return the tags in as many parts as there are clients."""
    size = -(-len(tags) // clients)
    return [part for start in range(0, len(tags), size) if (part := tags[start : start + size])]


def new_tags(number: int) -> range:
    """Return so many numbers that no job of this run had before."""
    first = next(_tags)
    for _ in range(number - 1):
        next(_tags)
    return range(first, first + number)


@dataclass(frozen=True, kw_only=True)
class Enqueued:
    """When jobs were enqueued: the first call, and for each tag the moment from which it was there."""

    began: float
    returned: dict[int, float]

    @property
    def per_second(self) -> float:
        """Return the rate of all clients together."""
        return len(self.returned) / (max(self.returned.values()) - self.began)


class EnqueueClient:
    """A client's process, which enqueues what it is asked for."""

    def __init__(self, ground: Ground, contestant: Contestant) -> None:
        with ground.log("clients").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ops.dev.bench.peers.client", contestant.module],
                env=ground.environment | dict(contestant.environment), cwd=CHECKOUT, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def ask(self, wish: Wish) -> None:
        """Let it begin."""
        assert self._process.stdin
        self._process.stdin.write(wish.line())
        self._process.stdin.flush()

    def answer(self) -> dict[str, list[float]]:
        """Wait until it is done; return when each enqueue was called and when it had returned."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise BenchError("a client ended; see the end of its log below")
        found: dict[str, list[float]] = json.loads(line)
        return found

    def end(self) -> None:
        """End it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


class Contest:
    """Runs a contestant on the ground, and takes its times."""

    def __init__(self, ground: Ground, listener: Listener, contestant: Contestant) -> None:
        self.ground, self.listener, self.contestant = ground, listener, contestant
        self.workers: list[Identity] = []
        self._relay: Identity | None = None
        self._clients: list[EnqueueClient] = []

    def __enter__(self) -> Self:
        self.ground.fresh()
        if self.contestant.needs_relay:
            self._relay = self.ground.spawn("workers.relay", environment={"RELAY_METRICS_PORT": str(free_port())})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop_workers()
        for client in self._clients:
            client.end()
        if self._relay:
            stop(self._relay, seconds=_STOP_SECONDS)
        if self.contestant.queue:
            self.ground.purge(self.contestant.queue)

    def start_workers(self, processes: int = PROCESSES) -> None:
        """Start the worker processes and do not wait for them."""
        for command in self.contestant.commands(processes):
            port = {"WORKER_METRICS_PORT": str(free_port())}
            self.workers.append(self.ground.spawn(*command, environment={**self.contestant.environment, **port}))

    def stop_workers(self) -> None:
        """Stop them as their users would, and wait until they are gone."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            stop(worker, seconds=_STOP_SECONDS)
        self.workers = []

    def clients(self, number: int) -> list[EnqueueClient]:
        """Return so many clients, started and connected."""
        while len(self._clients) < number:
            self._clients.append(EnqueueClient(self.ground, self.contestant))
        return self._clients[:number]

    def begin_anew(self) -> None:
        """Empty the tables and forget all marks."""
        self.ground.fresh()
        self.listener.clear()

    def enqueue(
        self, kind: str, tags: range, *, clients: int = 1, together: int | None = None, urgent: bool = False
    ) -> "Enqueued":
        """Let clients enqueue at full speed, side by side; return when that was."""
        lots = together or self.contestant.together
        parts = spread(tags, clients)
        started = self.clients(len(parts))
        for client, part in zip(started, parts, strict=True):
            client.ask(Wish(kind=kind, first_tag=part[0], count=len(part), together=lots, urgent=urgent))
        answers = [client.answer() for client in started]
        returned = {
            tag: moment
            for part, answer in zip(parts, answers, strict=True)
            for number, moment in enumerate(answer["returned"])
            for tag in part[number * lots : (number + 1) * lots]
        }
        return Enqueued(began=min(answer["called"][0] for answer in answers), returned=returned)

    def wait_published(self) -> None:
        """Wait until every job lies where workers find it."""
        ledger = self.contestant.ledger
        if ledger is None:
            return
        if not wait_until(lambda: self._ask(ledger.unpublished) == [(0,)], seconds=_LONGEST_SECONDS):
            raise BenchError("not every job was published")

    def wait_ended(self, tags: range) -> tuple[list[Mark], float]:
        """Wait until all have run; return their marks, and when the last of them had ended.

        Where a row says that a job is done, the last row's time is the end; elsewhere it is the last handler's return,
        a few milliseconds before its ack.
        """
        marks = self.listener.wait_for(tags, seconds=_LONGEST_SECONDS)
        ledger = self.contestant.ledger
        if ledger is None:
            return marks, max(mark.ended for mark in marks)
        deadline = time.monotonic() + _LONGEST_SECONDS
        while (row := self._ask(ledger.finished)[0])[0] < len(tags):
            if time.monotonic() > deadline:
                raise BenchError(f"{row[0]} of {len(tags)} jobs are finished; all have run")
            time.sleep(_POLL_SECONDS)
        ended: float = row[1]
        return marks, ended

    def _ask(self, query: Any) -> list[tuple[Any, ...]]:
        ledger = self.contestant.ledger
        return self.ground.sql(query, database=ledger.database if ledger else None)
