"""Reading a part of a file, the same way for every adapter."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Part(io.RawIOBase):
    """At most `size` bytes of what `read(size)` returns; None: all of it. Read it through an `io.BufferedReader`."""

    def __init__(self, read: Callable[[int], bytes], *, size: int | None) -> None:
        super().__init__()
        self._read, self._left = read, size

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read into the buffer; 0 at the end."""
        view = memoryview(buffer).cast("B")
        wanted = len(view) if self._left is None else min(len(view), self._left)
        piece = self._read(wanted) if wanted else b""
        view[: len(piece)] = piece
        if self._left is not None:
            self._left -= len(piece)
        return len(piece)
