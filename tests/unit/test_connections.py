"""A connection's terms: how long a client may take to send a request and to read its answer."""

import gc
import socket
import sys
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from api.serving.connection import Connection, Terms
from api.serving.refusals import MALFORMED, TOO_LARGE, TOO_MANY_HEADERS
from api.serving.sockets import BufferedSocket

_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return the server's and the client's end of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            yield accepted, client


def _connection(server: socket.socket, **terms: float) -> Connection:
    cfg = SimpleNamespace(keepalive=2)
    return Connection(cfg, server, ("127.0.0.1", 1), ("127.0.0.1", 2), terms=Terms(**terms))  # type: ignore[arg-type]


def _received(connection: Connection, client: socket.socket, data: bytes) -> object:
    """Send bytes and receive all of them; return the last outcome."""
    client.sendall(data)
    wanted, outcome = len(connection.received) + len(data), False
    while outcome is False and len(connection.received) < wanted:
        outcome = connection.receive()  # type: ignore[assignment]
    return outcome


def test_what_comes_fast_may_take_longer_and_nothing_takes_longer_than_the_longest_term(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    began = time.monotonic()
    connection = _connection(ends[0], first_seconds=100, lowest_rate=1000, longest_seconds=150)
    first = connection.deadline - began

    _received(connection, ends[1], _HEAD + b"Content-Length: 500000\r\n\r\n")
    after_the_head = connection.deadline - began
    _received(connection, ends[1], b" " * 20_000)
    after_a_part = connection.deadline - began
    _received(connection, ends[1], b" " * 400_000)
    after_more = connection.deadline - began

    assert first == pytest.approx(100, abs=5)
    assert after_the_head == pytest.approx(100, abs=5)
    assert after_a_part == pytest.approx(120, abs=5)
    assert after_more == pytest.approx(150, abs=5)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        (_HEAD + b"\r\n", True),
        (_HEAD + b"Content-Length: 3\r\n\r\nab", False),
        (_HEAD + b"Content-Length: 3\r\n\r\nabc", True),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", True),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", MALFORMED),
        (_HEAD + b"Content-Length: 5000\r\n\r\n", TOO_LARGE),
        (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + b" " * 4096 + b"\r\n", TOO_LARGE),
        (_HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 90) for number in range(50)), TOO_MANY_HEADERS),
    ],
)
def test_a_request_is_whole_or_goes_on_or_is_refused(
    ends: tuple[socket.socket, socket.socket], sent: bytes, outcome: object
) -> None:
    connection = _connection(ends[0], longest_head=2000, longest_body=2000)

    assert _received(connection, ends[1], sent) == outcome


def test_what_comes_after_a_request_is_the_beginning_of_the_next_one(ends: tuple[socket.socket, socket.socket]) -> None:
    connection = _connection(ends[0])
    request = _HEAD + b"Content-Length: 3\r\n\r\nabc"

    is_whole = _received(connection, ends[1], request + request + b"POST")

    assert is_whole is True
    assert connection.sock.recv(1000) == request
    assert connection.next_request() is True
    assert connection.sock.recv(1000) == request
    assert connection.next_request() is False
    assert bytes(connection.received) == b"POST"


def test_what_a_client_does_not_read_is_kept_and_sent_as_it_reads(ends: tuple[socket.socket, socket.socket]) -> None:
    connection = _connection(ends[0])
    answer = bytes(range(256)) * 40_000

    connection.sock.sendall(answer)
    kept = connection.held_bytes
    connection.expect_reading()
    read = bytearray()
    while len(read) < len(answer):
        connection.send_more()
        read += ends[1].recv(1_000_000)

    assert kept > 0
    assert bytes(read) == answer
    assert connection.send_more() is True


def test_a_connection_is_freed_as_it_ends_without_the_collector(ends: tuple[socket.socket, socket.socket]) -> None:
    connection = _connection(ends[0])
    _received(connection, ends[1], _HEAD + b"Content-Length: 3\r\n\r\na")
    reference = weakref.ref(connection)

    gc.disable()
    try:
        connection.end()
        held = connection.held_bytes
        del connection

        assert held == 0
        assert reference() is None
    finally:
        gc.enable()


def test_a_request_is_freed_as_it_is_read_to_its_end(ends: tuple[socket.socket, socket.socket]) -> None:
    buffered = BufferedSocket(ends[0])
    request = bytes(100_000)
    unread = sys.getrefcount(request)
    buffered.load(request)

    buffered.recv(99_999)
    during = sys.getrefcount(request)
    buffered.recv(10)

    assert during > unread
    assert sys.getrefcount(request) == unread


def test_a_kept_connection_keeps_nothing_of_its_last_request(ends: tuple[socket.socket, socket.socket]) -> None:
    connection = _connection(ends[0])
    _received(connection, ends[1], _HEAD + b"Content-Length: 3\r\n\r\nabc")

    connection.next_request()

    assert connection.held_bytes == 0
