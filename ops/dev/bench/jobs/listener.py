"""Listener: receives the marks of all worker processes, which say when each job began and ended, and where."""

import socket
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ops.dev.bench.jobs.testbed import BenchError
from ops.dev.bench.peers.marks import HEADER, RECORD

_LARGEST = 65536
_POLL_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class Mark:
    """One run of a job; times by this machine's clock, in seconds since the epoch."""

    pid: int
    tag: int
    began: float
    ended: float


class Listener:
    """Receives marks in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._socket.bind(str(path))
        self._marks: list[Mark] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, name="marks", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._socket.close()

    def clear(self) -> None:
        """Drop all marks."""
        self._marks = []

    def seen(self) -> list[Mark]:
        """Return the marks that came so far."""
        return list(self._marks)

    def wait_for(self, tags: Collection[int], *, seconds: float) -> list[Mark]:
        """Wait until every job has run; return the marks in the order of their begins.

        Raises:
            BenchError: a job has not run in time, or ran twice.
        """
        deadline = time.monotonic() + seconds
        while len(self._marks) < len(tags):
            if time.monotonic() > deadline:
                raise BenchError(f"{len(self._marks)} of {len(tags)} jobs have run within {seconds:.0f} seconds")
            time.sleep(_POLL_SECONDS)
        marks = self.seen()
        if len(marks) > len(tags) or {mark.tag for mark in marks} != set(tags):
            raise BenchError(f"{len(tags)} jobs were enqueued, and there were {len(marks)} runs: one ran twice")
        return sorted(marks, key=lambda mark: mark.began)

    def _listen(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(_LARGEST)
            except OSError:
                return  # It was closed.
            (pid,) = HEADER.unpack_from(datagram)
            records = RECORD.iter_unpack(datagram[HEADER.size :])
            self._marks += [Mark(pid, *record) for record in records]
