"""Clients that take their time: slow heads, slow bodies, and answers that are never read."""

import multiprocessing
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.synchronize import Event

_HEAD = b"POST /v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
_GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: What each kind sends at first, and then every two seconds: a head that never ends, a body of many bytes, chunks,
#: nothing at all, and more requests than the answers fit into the client's buffer, which it never reads.
KINDS = {
    "head": (_HEAD, b"X"),
    "body": (_HEAD + b"Content-Length: 60000\r\n\r\n{", b" "),
    "chunks": (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "silent": (b"", b""),
    "unread": (_GET * 50, _GET),
}
_PAUSE_SECONDS = 2.0
#: For the clients that never read, so that the server has to wait for them soon.
_RECEIVE_BUFFER_BYTES = 4096


@dataclass
class _Slow:
    socket: socket.socket
    kind: str
    opened: float
    closed: float | None = None


@dataclass
class SlowClients:
    """Open sockets, each of one kind, and drive them until the server has closed them, or until stopped."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    clients: list[_Slow] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def driven(self, count: int, kinds: tuple[str, ...] = tuple(KINDS)) -> Iterator[None]:
        """Open so many sockets, of these kinds in turn, and drive them during the block."""
        for kind in islice(cycle(kinds), count):
            self._open(kind)
        thread = threading.Thread(target=self._drive)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()
            for client in self.clients:
                client.socket.close()

    def open_kinds(self) -> list[str]:
        """Return the kinds of the sockets that the server has not closed."""
        return [client.kind for client in self.clients if client.closed is None]

    def longest(self) -> float:
        """Return how many seconds the server left the last of the closed ones open."""
        return max(client.closed - client.opened for client in self.clients if client.closed is not None)

    def _open(self, kind: str) -> None:
        opened = socket.socket()
        if kind == "unread":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        opened.settimeout(30)
        opened.connect((self.host, self.port))
        if self.tls:
            opened = self.tls.wrap_socket(opened, server_hostname="localhost")
        self.clients.append(_Slow(opened, kind, time.monotonic()))
        opened.settimeout(0)
        _send(opened, KINDS[kind][0])

    def _drive(self) -> None:
        """Send a little each two seconds, and watch for the end. A client that never reads notices it as it sends."""
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                if client.kind != "unread":
                    selector.register(client.socket, selectors.EVENT_READ, client)
            due = 0.0
            while not self._stopping.is_set():
                for key, _ in selector.select(0.05):
                    if _is_ended(key.fileobj):
                        key.data.closed = time.monotonic()
                        selector.unregister(key.fileobj)
                for client in self.clients if time.monotonic() >= due else ():
                    if client.closed is None and not _send(client.socket, KINDS[client.kind][1]):
                        client.closed = time.monotonic()
                        with suppress(KeyError):
                            selector.unregister(client.socket)
                due = time.monotonic() + _PAUSE_SECONDS if time.monotonic() >= due else due
                self._look_at_unread()

    def _look_at_unread(self) -> None:
        """Notice a reset, which shows without a read."""
        for client in self.clients:
            is_unread = client.kind == "unread" and client.closed is None
            if is_unread and client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                client.closed = time.monotonic()


@contextmanager
def driven_apart(host: str, port: int, authority: str, *, count: int, kinds: tuple[str, ...]) -> Iterator[None]:
    """Drive so many clients over TLS during the block, in a process of their own: they share no interpreter."""
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Event(), context.Event()
    arguments = (host, port, authority, count, kinds, ready, ended)
    process = context.Process(target=_drive_apart, args=arguments, daemon=True)
    process.start()
    try:
        assert ready.wait(120), "the clients are connected"
        yield
    finally:
        ended.set()
        process.join(60)
        process.kill()
        process.join()


def _drive_apart(
    host: str, port: int, authority: str, count: int, kinds: tuple[str, ...], ready: Event, ended: Event
) -> None:
    slow = SlowClients(host, port, ssl.create_default_context(cafile=authority))
    with slow.driven(count, kinds):
        ready.set()
        ended.wait()


def _send(opened: socket.socket, data: bytes) -> bool:
    """Send what fits; return whether the connection still stands."""
    try:
        if data:
            opened.send(data)
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return True


def _is_ended(opened: object) -> bool:
    assert isinstance(opened, socket.socket)
    try:
        while opened.recv(65536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True
