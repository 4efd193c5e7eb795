"""The storage gateway: `Storage` is its protocol; a file is bytes under an unguessable key.

Adapters are `file.FileStorage`, a folder of this machine or one that it mounts, and `s3.S3Storage`, a bucket; both pass
one conformance suite, `tests/integration/test_storage.py`. What a file is and whose is in the table `files`
(`files.py`): the file is written before its row commits, and `sweep.py` deletes the files that no row names.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from moneyflow.gateways.storage.keys import new_key

__all__ = ["Storage", "Written", "new_key"]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file as it was written: its key, its size in bytes, and the hexadecimal SHA-256 of its content."""

    key: str
    size: int
    sha256: str


class Storage(Protocol):
    """Stores files by their keys; safe to use from several threads.

    Every method raises `UnavailableError` when the storage is down or full, and `ValueError` for a key that is
    neither of `keys.new_key` nor of `keys.kept_key`.
    """

    def write(self, key: str, pieces: Iterable[bytes]) -> Written:
        """Write a new file, whole or not at all; when this returns it survives a crash of the machine.

        An error of `pieces` itself is raised as it is, and leaves no file.
        """
        ...

    def open(self, key: str, *, start: int = 0, size: int | None = None) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading from the byte `start`, at most `size` bytes.

        Raises:
            NotFoundError: there is no such file.
        """
        ...

    def delete(self, key: str) -> None:
        """Delete a file; idempotent."""
        ...

    def keys(self, *, written_before: datetime) -> Iterator[str]:
        """Yield the keys of all files that were written before a moment, in the order of the keys.

        Those that are kept without a row are not among them.
        """
        ...

    def kept(self, folder: str) -> Iterator[str]:
        """Yield the keys of a folder's files that are kept without a row, in the order of the keys."""
        ...

    def path(self, key: str) -> Path | None:
        """Return where a server of this machine finds the file, whether it exists or not; None for a bucket."""
        ...

    def link(self, key: str, *, name: str, content_type: str, seconds: int) -> str | None:
        """Return an address that serves the file to everyone who has it, for that long; None for a folder."""
        ...

    def check(self) -> None:
        """Check that files can be written."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...
