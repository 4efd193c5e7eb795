"""Uploads: the bodies that are too large for the memory wait for a thread in files without a name."""

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

#: Bytes of a body that is kept in memory.
IN_MEMORY_BYTES = 64 * 1024


def upload_folder(storage: Path | None) -> Path | None:
    """Return where uploads wait: beside the files of a storage folder, on the same disk; None: the system's folder.

    In a container that one is in memory. A storage folder that cannot be made is reported by its own check.
    """
    if storage is None:
        return None
    folder = storage / "incoming"
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder


class Upload:
    """The body of one request, in a file that is gone with its process.

    Each method may raise OSError: the disk is full, or failed.
    """

    def __init__(self, size: int, *, folder: Path | None) -> None:
        self.size = size
        # Without a buffer: a full disk is known at once, and not when a thread has the request.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - the connection closes it
        self._reader = io.BufferedReader(self._file)

    def write(self, piece: bytes | bytearray) -> None:
        """Write the next bytes."""
        if self._file.write(piece) != len(piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def body(self) -> BinaryIO:
        """Return the whole body, from its first byte; what came after it is cut off."""
        self._file.truncate(self.size)
        self._reader.seek(0)
        return self._reader

    def close(self) -> None:
        """Delete it; safe to repeat."""
        self._reader.close()
