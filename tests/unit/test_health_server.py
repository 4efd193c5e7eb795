"""The health port: under clients that send nothing, send slowly, or come in a crowd; on addresses of IPv4 and IPv6."""

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import httpx
import pytest

from moneyflow.platform.telemetry.health_server import MOST_CONNECTIONS, THREADS_PER_PATH, Answer, HealthServer
from tests.support.waiting import eventually

_OK = Answer(200, b"{}", "application/json")
_HALF = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"

Serve = Callable[..., HealthServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a server, which is closed with the test."""
    with ExitStack() as stack:

        def start(
            host: str = "127.0.0.1", *, seconds: float = 60.0, make: Callable[[], Answer] = lambda: _OK
        ) -> HealthServer:
            server = HealthServer(host, 0, {"/healthz": lambda: _OK, "/readyz": make}, seconds=seconds)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def connect() -> Iterator[Callable[[HealthServer], socket.socket]]:
    """Return what opens a connection, which is closed with the test."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=30))


def _status(server: HealthServer, path: str = "/healthz", host: str = "127.0.0.1") -> int:
    return httpx.get(f"http://{host}:{server.port}{path}", timeout=30, trust_env=False).status_code


def _is_cut_off(connection: socket.socket) -> bool:
    with suppress(ConnectionError):
        return connection.recv(1) == b""
    return True


def test_three_hundred_half_open_requests_hold_no_thread_and_a_whole_one_is_answered_at_once(
    serve: Serve, connect: Callable[[HealthServer], socket.socket]
) -> None:
    server = serve()
    before = threading.active_count()

    for _ in range(300):
        connect(server).sendall(_HALF)

    assert _status(server) == 200
    eventually(lambda: threading.active_count() <= before, what="the thread of the answer has ended")


def test_a_client_beyond_the_most_connections_cuts_off_the_one_that_has_waited_longest(
    serve: Serve, connect: Callable[[HealthServer], socket.socket]
) -> None:
    server = serve()
    held = [connect(server) for _ in range(MOST_CONNECTIONS)]
    for connection in held:
        connection.sendall(_HALF)

    assert _status(server) == 200
    assert _is_cut_off(held[0])
    held[-1].sendall(b"\r\n")
    assert held[-1].recv(1024).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("sent", [b"", _HALF], ids=["nothing", "half a request"])
def test_a_request_that_does_not_come_whole_in_time_is_cut_off(
    serve: Serve, connect: Callable[[HealthServer], socket.socket], sent: bytes
) -> None:
    connection = connect(serve(seconds=0.1))

    connection.sendall(sent)

    assert _is_cut_off(connection)


def test_a_request_that_comes_byte_by_byte_is_cut_off_too(
    serve: Serve, connect: Callable[[HealthServer], socket.socket]
) -> None:
    connection = connect(serve(seconds=0.3))
    connection.settimeout(0)

    def is_cut_off() -> bool:
        try:
            connection.sendall(b"G")
            return connection.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    eventually(is_cut_off, what="the connection is cut off although it never paused")


def test_a_head_without_end_is_cut_off(serve: Serve, connect: Callable[[HealthServer], socket.socket]) -> None:
    connection = connect(serve())

    with suppress(ConnectionError):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 1_000_000)

    assert _is_cut_off(connection)


def test_a_crowd_of_whole_requests_is_answered_by_few_threads_and_a_check_that_hangs_delays_no_other_path(
    serve: Serve,
) -> None:
    release, most = threading.Event(), 0
    lock = threading.Lock()
    inside = 0

    def hang() -> Answer:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        release.wait(30)
        with lock:
            inside -= 1
        return _OK

    server = serve(make=hang)
    with ThreadPoolExecutor(20) as clients:
        asked = [clients.submit(_status, server, "/readyz") for _ in range(20)]
        eventually(lambda: inside == THREADS_PER_PATH, what="as many checks run as may")
        alive = _status(server)
        release.set()
        answered = [one.result() for one in asked]

    assert alive == 200
    assert answered == [200] * 20
    assert most == THREADS_PER_PATH


@pytest.mark.parametrize(
    ("bound", "asked"), [("::1", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1"), ("localhost", "localhost")]
)
def test_it_listens_on_addresses_of_both_versions(serve: Serve, bound: str, asked: str) -> None:
    assert _status(serve(bound), host=asked) == 200


def test_another_method_is_refused(serve: Serve) -> None:
    server = serve()

    assert httpx.post(f"http://127.0.0.1:{server.port}/healthz", timeout=30, trust_env=False).status_code == 405


def test_a_function_that_raises_is_answered_and_the_next_request_too(serve: Serve) -> None:
    def fail() -> Answer:
        raise OSError("broken")

    server = serve(make=fail)

    assert [_status(server, "/readyz"), _status(server)] == [500, 200]


def test_a_port_that_is_taken_is_an_error_at_once(serve: Serve) -> None:
    server = serve()

    with pytest.raises(OSError, match="in use"):
        HealthServer("127.0.0.1", server.port, {})
