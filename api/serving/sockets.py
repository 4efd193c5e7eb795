"""What gunicorn reads a request from and writes its answer to: nothing of it waits for the client."""

import os
import socket
from contextlib import suppress
from typing import BinaryIO

#: Bytes of an answer that are held until its end, to be sent at once: the head and the body of nearly all.
_HELD_BYTES = 16 * 1024
#: Bytes of a file that one call sends at most.
_FILE_PIECE_BYTES = 1024 * 1024


class _FilePart:
    """The part of a file that has yet to be sent, by a descriptor of its own: the application closes the file."""

    def __init__(self, file: BinaryIO, offset: int, count: int) -> None:
        self._descriptor = os.dup(file.fileno())
        self._offset = offset
        self.count = count

    def send(self, raw: socket.socket) -> int:
        """Send what fits into the socket; return how many bytes.

        Raises:
            OSError: the connection is broken, or the file is shorter than it was.
        """
        try:
            sent = os.sendfile(raw.fileno(), self._descriptor, self._offset, min(self.count, _FILE_PIECE_BYTES))
        except BlockingIOError:
            return 0
        if not sent:
            raise ConnectionAbortedError("the file ends before its answer")
        self._offset += sent
        self.count -= sent
        return sent

    def close(self) -> None:
        """Close the descriptor; safe to repeat."""
        self.count = 0
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class BufferedSocket:
    """A client's socket: a whole request is read from memory, and what does not fit of an answer is kept."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._unsent = bytearray()
        self._file: _FilePart | None = None
        self._request = memoryview(b"")
        self._is_holding = False

    @property
    def has_unsent(self) -> bool:
        """Return whether a part of the answer has yet to be sent."""
        return bool(self._unsent) or self._file is not None

    @property
    def held_bytes(self) -> int:
        """Return how much of a request, and of an answer, is kept in memory."""
        return len(self._request) + len(self._unsent)

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
            if self._unsent:
                self.flush()

    def sendall(self, data: bytes) -> None:
        """Send what fits into the socket, and keep the rest.

        Raises:
            OSError: the connection is broken.
            ValueError: a file was sent before it, and is still read.
        """
        if self._file is not None:
            raise ValueError("a file ends its answer; give the answer a Content-Length")
        if self._is_holding:
            self._unsent += data
            if len(self._unsent) > _HELD_BYTES:
                self.release()
            return
        self._unsent += data[0 if self._unsent else self._send(data) :]

    def sendfile(self, file: BinaryIO, offset: int, count: int) -> None:
        """Send a part of a file as the last part of an answer; it takes no memory while the client reads it.

        Raises:
            OSError: the connection is broken.
        """
        self._is_holding = False
        self._file = _FilePart(file, offset, count)
        self.flush()

    def flush(self) -> int:
        """Send more of what was kept; return how many bytes.

        Raises:
            OSError: the connection is broken, or a file is shorter than it was.
        """
        sent = self._send(self._unsent) if self._unsent else 0
        del self._unsent[:sent]
        if self._file is not None and not self._unsent:
            sent += self._file.send(self.raw)
            if not self._file.count:
                self._file.close()
                self._file = None
        return sent

    def clear(self) -> None:
        """Free what is kept."""
        self._unsent = bytearray()
        self._request = memoryview(b"")
        if self._file is not None:
            self._file.close()
            self._file = None

    def end(self, linger: bytes) -> None:
        """Close; `linger` is the option SO_LINGER for a client that has not read its answer."""
        with suppress(OSError):
            if self.has_unsent:
                self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.raw.close()

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
