"""The API's worker: the memory that its connections take together, and when it counts as stuck."""

import selectors
import socket
import time
from collections.abc import Iterator
from typing import ClassVar

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]

from api.serving.connection import Connection
from api.serving.worker import BufferingWorker

_THREADS = 2
_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"


class _Worker(BufferingWorker):
    """A worker of two threads and room for three connections, whose requests all wait."""

    most_held_bytes: ClassVar[int] = 1_000_000

    def enqueue_req(self, conn: Connection) -> None:
        """Leave the request waiting."""


@pytest.fixture
def worker() -> Iterator[_Worker]:
    cfg = Config()
    cfg.set("threads", _THREADS)
    cfg.set("worker_connections", 3)
    worker = _Worker(1, 1, [], None, 60, cfg, None)
    worker.poller = selectors.DefaultSelector()
    yield worker
    for connection in list(worker._connections):
        worker._close(connection)
    worker.poller.close()
    worker.tmp.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        yield listener


def _accepted(worker: _Worker, listener: socket.socket) -> tuple[Connection, socket.socket]:
    client = socket.create_connection(listener.getsockname())
    client.settimeout(10)
    known = set(worker._connections)
    while worker._connections == known:
        worker.accept(listener)
    (connection,) = worker._connections - known
    return connection, client


def _turn_until_received(worker: _Worker, connection: Connection, count: int) -> None:
    while len(connection.received) < count and connection in worker._connections:
        worker.wait_for_and_dispatch_events(timeout=10)


def _answer(worker: _Worker, connection: Connection, data: bytes) -> None:
    """End a request as a thread does."""
    worker._unwatch(connection)
    connection.sock.sendall(data)
    worker._answering += 1
    worker._answered_by_thread(connection, is_kept=True, error=None)


def _read_to_the_end(client: socket.socket) -> None:
    while client.recv(1_000_000):
        pass


def test_answers_that_clients_do_not_read_end_the_connection_that_goes_above_the_memory(
    worker: _Worker, listener: socket.socket
) -> None:
    worker.most_held_bytes = 12_000_000  # type: ignore[misc]
    first, first_client = _accepted(worker, listener)
    second, second_client = _accepted(worker, listener)

    _answer(worker, first, b"x" * 10_000_000)
    _answer(worker, second, b"x" * 20_000_000)

    with first_client, second_client:
        assert first in worker._connections
        assert second not in worker._connections
        assert second.held_bytes == 0
        assert worker._held.total == first.held_bytes > 0
        with pytest.raises(ConnectionResetError):
            _read_to_the_end(second_client)


def test_a_large_request_above_the_memory_is_refused_and_what_it_took_is_freed(
    worker: _Worker, listener: socket.socket
) -> None:
    first, first_client = _accepted(worker, listener)
    second, second_client = _accepted(worker, listener)
    body = _HEAD + b"x" * 600_000
    first_client.sendall(body)
    _turn_until_received(worker, first, len(body))

    with first_client, second_client:
        second_client.settimeout(0)
        second_client.send(body)
        while worker._watched.get(second) == worker._receive:
            worker.wait_for_and_dispatch_events(timeout=10)
            try:
                second_client.send(body)
            except BlockingIOError:
                continue
        second_client.settimeout(10)

        assert second_client.recv(100).startswith(b"HTTP/1.1 503 ")
        assert worker._held.total == first.held_bytes == len(body)


def test_the_count_of_what_is_kept_returns_to_zero_as_connections_end(worker: _Worker, listener: socket.socket) -> None:
    connection, client = _accepted(worker, listener)
    client.sendall(_HEAD + b"x")
    _turn_until_received(worker, connection, len(_HEAD) + 1)
    counted = worker._held.total

    client.close()
    while connection in worker._connections:
        worker.wait_for_and_dispatch_events(timeout=10)

    assert counted == len(_HEAD) + 1
    assert worker._held.total == 0


def test_a_worker_is_stuck_a_minute_after_requests_began_to_wait_and_not_after_a_quiet_minute(
    worker: _Worker, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: now)
    connection, client = _accepted(worker, listener)
    with client:
        for _ in range(_THREADS + 1):
            worker._await_request(connection, is_whole=True)
        worker._turned = now
        after_a_quiet_hour = worker.complaint()

        now += 61
        worker._turned = now

        assert after_a_quiet_hour is None
        assert "no request has ended for 61 seconds" in (worker.complaint() or "")
    worker._close(connection)
