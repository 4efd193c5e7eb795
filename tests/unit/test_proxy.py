"""The tests' own TCP proxy: it passes bytes on, and breaks connections in the ways that a test asks for."""

import random
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.support.proxy import Proxies, Proxy
from tests.support.waiting import eventually


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Return a proxy before a server that echoes."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server, Proxies() as proxies:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield proxies.to(lambda: server.server_address[1])
        server.shutdown()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """Return a connection through the proxy."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        yield connection


def _echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data) and (piece := client.recv(65536)):
        answer += piece
    return answer


def test_what_is_sent_comes_through_whole(client: socket.socket) -> None:
    data = bytes(range(256)) * 4000

    assert _echoed(client, data) == data


def test_a_cut_resets_the_connection_and_a_new_one_works(proxy: Proxy, client: socket.socket) -> None:
    assert _echoed(client, b"before") == b"before"

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as another:
        assert _echoed(another, b"after") == b"after"


def test_a_stalled_connection_stays_open_and_loses_nothing(proxy: Proxy, client: socket.socket) -> None:
    assert _echoed(client, b"before") == b"before"
    proxy.stall()
    client.sendall(b"while it stalls")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)

    proxy.flow()

    client.settimeout(5)
    assert client.recv(100) == b"while it stalls"


def test_a_cut_after_a_number_of_bytes_lets_exactly_those_through(proxy: Proxy, client: socket.socket) -> None:
    assert _echoed(client, b"before") == b"before"
    proxy.cut_after(10)

    client.sendall(b"6 here")
    first = client.recv(100)  # Six there and four back: with them the ten are used up.

    assert first == b"6 he"
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_lost_connection_swallows_what_is_sent_until_it_is_cut(proxy: Proxy, client: socket.socket) -> None:
    assert _echoed(client, b"before") == b"before"
    proxy.lose(part=1, dice=random.Random(1))
    client.sendall(b"into nowhere")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)

    proxy.cut_lost()

    client.settimeout(5)
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_target_that_is_down_resets_the_connection() -> None:
    with Proxies() as proxies:
        nowhere = proxies.to(lambda: 1)
        with (
            pytest.raises(ConnectionResetError),
            socket.create_connection(("127.0.0.1", nowhere.port), timeout=5) as client,
        ):
            client.recv(1)
        eventually(lambda: nowhere.connections() == 0, what="nothing is left")
