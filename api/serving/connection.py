"""One client's connection: what it has sent of a request, until when it may take, and what it has yet to read.

The rule for a request is that of Apache's mod_reqtimeout: a first term, longer by the time that what has come would
take at the lowest rate, and never longer than the longest term. So neither a byte now and then nor a large body holds a
connection open.
"""

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]
from gunicorn_h1c import H1CProtocol  # type: ignore[import-untyped]

from api.serving.refusals import MALFORMED, TOO_LARGE, TOO_MANY_HEADERS, Refusal, refusal_of

#: Bytes that one call reads from a socket.
_PIECE_BYTES = 64 * 1024
#: Bytes of an answer that are held until its end, to be sent at once: the head and the body of nearly all.
_HELD_BYTES = 16 * 1024
#: Bytes of an answer that the kernel keeps for a client, doubled by it; the default grows to megabytes.
_SEND_BUFFER_BYTES = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: close() then resets the connection, and frees what the client never read.
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a client may take: seconds, rates in bytes per second, and sizes in bytes."""

    #: For a request: the first term, the lowest rate, and the longest term, from its first byte; for the first request
    #: of a connection, from the connection.
    first_seconds: float = 5.0
    lowest_rate: float = 1024.0
    longest_seconds: float = 8.0
    #: Between an answer and the next request.
    idle_seconds: float = 8.0
    #: For reading an answer that did not fit into the socket: the first term, and the lowest rate; no longest term.
    reading_seconds: float = 5.0
    lowest_reading_rate: float = 64.0 * 1024
    #: With no byte of what the socket holds acknowledged: the kernel then closes a connection whose client never reads.
    unread_seconds: float = 6.0
    #: For closing its side, so that it reads the last answer before the connection is reset.
    closing_seconds: float = 1.0
    longest_head: int = 32 * 1024
    longest_body: int = 1024 * 1024


class BufferedSocket:
    """What gunicorn reads a request from and writes its answer to: neither waits for the client."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self.unsent = bytearray()
        self._request = memoryview(b"")
        self._is_holding = False

    def load(self, request: bytes) -> None:
        """Make a whole request the one that is read."""
        self._request = memoryview(request)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the request; none at its end."""
        piece, rest = bytes(self._request[:size]), self._request[size:]
        self._request = rest or memoryview(b"")  # An empty slice would still keep the whole request.
        return piece

    def hold(self) -> None:
        """Hold what is sent from now on until `release`, unless it is much."""
        self._is_holding = True

    def release(self) -> None:
        """Send what was held.

        Raises:
            OSError: the connection is broken.
        """
        if self._is_holding:
            self._is_holding = False
            if self.unsent:
                self.flush()

    def sendall(self, data: bytes) -> None:
        """Send what fits into the socket, and keep the rest.

        Raises:
            OSError: the connection is broken.
        """
        if self._is_holding:
            self.unsent += data
            if len(self.unsent) > _HELD_BYTES:
                self.release()
            return
        self.unsent += data[0 if self.unsent else self._send(data) :]

    def flush(self) -> int:
        """Send more of what was kept; return how many bytes.

        Raises:
            OSError: the connection is broken.
        """
        sent = self._send(self.unsent)
        del self.unsent[:sent]
        return sent

    @property
    def held_bytes(self) -> int:
        """Return how much of a request, and of an answer, is kept."""
        return len(self._request) + len(self.unsent)

    # gunicorn calls these around reading, writing and closing; nothing here blocks, and the worker's loop closes.

    def setblocking(self, _: bool) -> None:
        """Do nothing."""

    def settimeout(self, _: float) -> None:
        """Do nothing."""

    def shutdown(self, _: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def _send(self, data: bytes | bytearray) -> int:
        try:
            return self.raw.send(data)
        except BlockingIOError:
            return 0


class Connection(TConn):  # type: ignore[misc]
    """A connection and the request that it sends; used by one thread at a time."""

    sock: BufferedSocket

    def __init__(self, cfg: Any, raw: socket.socket, client: Any, server: Any, *, terms: Terms) -> None:
        raw.settimeout(0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(terms.unread_seconds * 1000))
        super().__init__(cfg, BufferedSocket(raw), client, server)
        self.data_ready = True
        self.received = bytearray()
        self._terms = terms
        self._protocol = H1CProtocol(on_headers_complete=self._head_has_come, limit_remaining=0)
        self._has_head = self._is_continued = False
        self._since = time.monotonic()
        self._is_new = True
        self.deadline = self._since + terms.first_seconds

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of a request has come yet."""
        return not self.received

    @property
    def held_bytes(self) -> int:
        """Return how much memory its request and its answer take."""
        return len(self.received) + self.sock.held_bytes

    def receive(self) -> Refusal | bool:
        """Read what has come; return whether the request is whole, or why it is refused.

        Raises:
            OSError: the connection is broken, or the client has closed it.
        """
        try:
            piece = self.sock.raw.recv(_PIECE_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            raise ConnectionResetError("closed by the client")
        if self.is_idle and not self._is_new:
            self._since = time.monotonic()
        return self._take(piece)

    def next_request(self) -> Refusal | bool:
        """Wait for the request after an answered one; return as `receive` does, for what came with the last one."""
        self._is_new = False
        self._since = time.monotonic()
        self.deadline = self._since + self._terms.idle_seconds
        self.sock.load(b"")
        rest, self.received = bytes(self.received), bytearray()
        return self._take(rest) if rest else False

    def expect_reading(self) -> None:
        """Begin the term in which the client has to read the rest of its answer."""
        self.deadline = time.monotonic() + self._terms.reading_seconds

    def send_more(self) -> bool:
        """Send more of the answer; return whether all of it is sent.

        Raises:
            OSError: the connection is broken.
        """
        self.deadline += self.sock.flush() / self._terms.lowest_reading_rate
        return not self.sock.unsent

    def begin_close(self) -> None:
        """Close this side: the client reads the answer to its end, and then closes its own.

        Raises:
            OSError: the connection is broken.
        """
        self._release()
        self.sock.raw.shutdown(socket.SHUT_WR)
        self.deadline = time.monotonic() + self._terms.closing_seconds

    def discard(self) -> bool:
        """Discard what still comes; return whether the client has closed its side.

        Raises:
            OSError: the connection is broken.
        """
        try:
            return not self.sock.raw.recv(_PIECE_BYTES)
        except BlockingIOError:
            return False

    def end(self) -> None:
        """Close; a client that has not read its answer gets an error, and the kernel keeps none of it."""
        with suppress(OSError):
            if self.sock.unsent:
                self.sock.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.sock.raw.close()
        self._release()

    def _release(self) -> None:
        """Free what is kept. The protocol refers back to its connection: the collector would find it much later."""
        self.received = bytearray()
        self.sock.unsent = bytearray()
        self.sock.load(b"")
        self._protocol = self.parser = None

    def _take(self, piece: bytes) -> Refusal | bool:
        self.received += piece
        terms = self._terms
        term = terms.first_seconds + len(self.received) / terms.lowest_rate
        self.deadline = self._since + min(term, terms.longest_seconds)
        try:
            self._protocol.feed(piece)
        except ValueError as error:  # The protocol has a ParseError of its own.
            return refusal_of(error, otherwise=MALFORMED)
        if self._protocol.is_complete:
            self._load()
            return True
        return self._excess() or self._continue()

    def _load(self) -> None:
        """Give the request to gunicorn; what came after it is the beginning of the next one."""
        rest = self._protocol.remaining()
        self.sock.load(bytes(self.received[: len(self.received) - len(rest)]))
        self.received = bytearray(rest)
        self._protocol.reset()
        self._has_head = self._is_continued = False

    def _excess(self) -> Refusal | None:
        """Return why what has come is too much."""
        if not self._has_head:
            return TOO_MANY_HEADERS if len(self.received) > self._terms.longest_head else None
        body = self._protocol.content_length or len(self.received) - self._terms.longest_head
        return TOO_LARGE if body > self._terms.longest_body else None

    def _continue(self) -> bool:
        """Let a client that asks first send its body."""
        if self._has_head and not self._is_continued:
            self._is_continued = True
            if (self._protocol.get_header(b"Expect") or b"").lower() == b"100-continue":
                self.sock.sendall(_CONTINUE)
        return False

    def _head_has_come(self) -> bool:
        self._has_head = True
        return False
