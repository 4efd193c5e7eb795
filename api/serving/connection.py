"""One client's connection: what it has sent of a request, until when it may take, and what it has yet to read.

The rule for a request is that of Apache's mod_reqtimeout: a first term, longer by the time that what has come would
take at the lowest rate, and never longer than the longest term. So neither a byte now and then nor a large body holds a
connection open.
"""

import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from gunicorn.workers.gthread import TConn  # type: ignore[import-untyped]
from gunicorn_h1c import H1CProtocol  # type: ignore[import-untyped]

from api.serving.refusals import MALFORMED, NO_ROOM, TOO_LARGE, TOO_MANY_HEADERS, Refusal, refusal_of
from api.serving.sockets import BufferedSocket
from api.serving.uploads import IN_MEMORY_BYTES, Upload
from api.upload_sizes import LARGEST

log = structlog.get_logger(__name__)

#: Bytes that one call reads from a socket.
_PIECE_BYTES = 64 * 1024
#: Bytes of an answer that the kernel keeps for a client, doubled by it; the default grows to megabytes.
_SEND_BUFFER_BYTES = 64 * 1024
_END_OF_HEAD = b"\r\n\r\n"
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
    #: Of an upload (`upload_sizes`): after the first term, the lowest rate, and the longest term.
    largest_uploads: Mapping[tuple[bytes, bytes], int] = field(default_factory=lambda: LARGEST)
    lowest_upload_rate: float = 16.0 * 1024
    longest_upload_seconds: float = 300.0
    #: Where uploads wait; None for the system's folder of temporary files.
    upload_folder: Path | None = None


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
        self._upload: Upload | None = None
        self._come_bytes = 0
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

    @property
    def upload_bytes(self) -> int:
        """Return how much of the disk its upload takes, once it has come."""
        return self._upload.size if self._upload else 0

    def upload(self) -> BinaryIO | None:
        """Return the body of the request that `sock` reads, when it is in a file; until the next request.

        Raises:
            OSError: the disk is full, or failed.
        """
        return self._upload.body() if self._upload else None

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
        self._end_upload()
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
        return not self.sock.has_unsent

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
        self.sock.end(_RESET)
        self._release()

    def _release(self) -> None:
        """Free what is kept. The protocol refers back to its connection: the collector would find it much later."""
        self.received = bytearray()
        self.sock.clear()
        self._end_upload()
        self._protocol = self.parser = None

    def _end_upload(self) -> None:
        if self._upload:
            self._upload.close()
            self._upload = None

    def _take(self, piece: bytes) -> Refusal | bool:
        self._come_bytes += len(piece)
        try:
            self._protocol.feed(piece)
            self._keep(piece)
        except ValueError as error:  # The protocol has a ParseError of its own.
            return refusal_of(error, otherwise=MALFORMED)
        except OSError as error:
            log.warning("upload_failed", error=type(error).__name__, consequence="the client has to repeat it")
            return NO_ROOM
        self._set_deadline()
        if self._protocol.is_complete:
            self._load()
            return True
        return self._excess() or self._continue()

    def _keep(self, piece: bytes) -> None:
        """Keep what has come: the head and a small body in memory, a larger body in a file."""
        if self._upload:
            self._upload.write(piece)
            return
        self.received += piece
        size, limit = self._protocol.content_length or 0, self._upload_limit() if self._has_head else None
        if limit and IN_MEMORY_BYTES < size <= limit:
            head_bytes = self.received.index(_END_OF_HEAD) + len(_END_OF_HEAD)
            self._upload = Upload(size, folder=self._terms.upload_folder)
            self._upload.write(self.received[head_bytes:])
            del self.received[head_bytes:]

    def _upload_limit(self) -> int | None:
        """Return how many bytes an upload to this address may have; None where there are no uploads."""
        path = bytes(self._protocol.path).partition(b"?")[0]
        return self._terms.largest_uploads.get((bytes(self._protocol.method), path))

    def _set_deadline(self) -> None:
        terms, upload = self._terms, self._upload
        rate, longest = (
            (terms.lowest_upload_rate, terms.longest_upload_seconds)
            if upload
            else (terms.lowest_rate, terms.longest_seconds)
        )
        self.deadline = self._since + min(terms.first_seconds + self._come_bytes / rate, longest)

    def _load(self) -> None:
        """Give the request to gunicorn; what came after it is the beginning of the next one."""
        rest = self._protocol.remaining()
        end = len(self.received) - (0 if self._upload else len(rest))
        self.sock.load(bytes(self.received[:end]))
        self.received = bytearray(rest)
        self._come_bytes = 0
        self._protocol.reset()
        self._has_head = self._is_continued = False

    def _excess(self) -> Refusal | None:
        """Return why what has come is too much."""
        if not self._has_head:
            return TOO_MANY_HEADERS if len(self.received) > self._terms.longest_head else None
        if self._protocol.content_length is None:  # In chunks, which are kept in memory.
            return TOO_LARGE if len(self.received) - self._terms.longest_head > self._terms.longest_body else None
        limit = self._upload_limit() or self._terms.longest_body
        return TOO_LARGE if self._protocol.content_length > limit else None

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
