"""A draining socket: what waits in its queue is taken; what is new is dropped until the socket closes, then refused."""

import errno
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from moneyflow.platform.http.drain import drain
from tests.support.waiting import eventually

#: Some kernels let no other user drop SYNs.
_ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="only root may drop SYNs")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as opened:
        yield opened


def _connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout=30)


@_ROOT_ALONE
def test_connections_that_wait_are_all_taken_before_the_drain_ends(listener: socket.socket) -> None:
    waiting = [_connect(listener) for _ in range(20)]
    taken: list[socket.socket] = []
    draining = threading.Thread(target=drain, args=([listener],))

    draining.start()
    while len(taken) < len(waiting):
        taken.append(listener.accept()[0])
    draining.join()
    listener.close()

    for number, (client, server) in enumerate(zip(waiting, taken, strict=True)):
        server.sendall(b"%d" % number)
        server.close()
        assert client.recv(8) == b"%d" % number
        client.close()


@_ROOT_ALONE
def test_a_connection_that_comes_during_the_drain_is_refused_when_the_socket_closes_and_never_cut(
    listener: socket.socket,
) -> None:
    drain([listener])
    client = socket.socket()
    client.settimeout(0)
    client.connect_ex(listener.getsockname())
    client.settimeout(0.2)
    is_dropped = client.connect_ex(listener.getsockname()) in {errno.EALREADY, errno.EINPROGRESS, errno.EAGAIN}
    address = listener.getsockname()
    listener.close()

    assert is_dropped, "it is neither taken nor refused yet"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=30)
    client.settimeout(0)
    code = eventually(lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), what="its next SYN is answered")
    assert code == errno.ECONNREFUSED
    client.close()


def test_a_queue_that_no_process_takes_delays_the_end_by_seconds_only(listener: socket.socket) -> None:
    with _connect(listener):
        ended = threading.Thread(target=drain, args=([listener],))
        ended.start()
        ended.join(60)

    assert not ended.is_alive()
