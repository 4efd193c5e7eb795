"""Storage in a folder: of this machine, or one that every machine of the application mounts."""

import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from moneyflow.gateways.storage import Storage, Written
from moneyflow.gateways.storage.keys import check_key, is_kept, is_key
from moneyflow.gateways.storage.reading import Part
from moneyflow.platform import failpoints
from moneyflow.platform.errors import NotFoundError, UnavailableError
from moneyflow.platform.patterns import Pattern

_BEFORE_RENAME = failpoints.declare("storage.before_rename")
_RENAMED = failpoints.declare("storage.renamed")

#: Where files are until they are whole, on the same file system: a crash leaves them there, and the sweep finds them.
_INCOMING = "incoming"
_INCOMING_KEY = Pattern(r"incoming/[0-9a-f]{32}", longest=41)
#: In the order of the keys.
_AREAS = ("private", "public")
#: The owner writes and the group reads: nginx may run as another user of the group.
_FILE_MODE, _FOLDER_MODE = 0o640, 0o750


class FileStorage(Storage):
    """Files in a folder. A file is written aside, synced and renamed, so that a key has a whole file or none."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def write(self, key: str, pieces: Iterable[bytes]) -> Written:
        """Write a new file."""
        target = self._root / check_key(key)
        aside = self._root / _INCOMING / secrets.token_hex(16)
        try:
            size, sha256 = self._write_aside(aside, pieces)
            failpoints.reach(_BEFORE_RENAME)
            with self._outage():
                _make_folder(target.parent)
                aside.rename(target)
                for folder in (target.parent, target.parent.parent):  # The folder may be new, of another thread.
                    _sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        failpoints.reach(_RENAMED)
        return Written(key=key, size=size, sha256=sha256)

    @contextmanager
    def open(self, key: str, *, start: int = 0, size: int | None = None) -> Iterator[BinaryIO]:
        """Open a file for reading."""
        path = self._root / check_key(key)
        with self._outage():
            try:
                file = path.open("rb", buffering=0)
            except FileNotFoundError:
                raise NotFoundError("the file is missing in the storage") from None
            file.seek(start)
        with file, io.BufferedReader(Part(partial(self._read, file), size=size)) as part:
            yield part

    def delete(self, key: str) -> None:
        """Delete a file, or what a crash has left aside."""
        path = self._root / (key if _INCOMING_KEY.fullmatch(key) else check_key(key))
        with self._outage():
            path.unlink(missing_ok=True)

    def keys(self, *, written_before: datetime) -> Iterator[str]:
        """Yield the keys in their order; `incoming/…` for what a crash has left aside."""
        before = written_before.timestamp()
        yield from self._keys_in(_INCOMING, before)
        for area in _AREAS:
            for folder in self._names(area):
                yield from self._keys_in(f"{area}/{folder}", before)

    def kept(self, folder: str) -> Iterator[str]:
        """Yield the keys of what is kept in a folder, in their order."""
        yield from filter(is_kept, (f"kept/{folder}/{name}" for name in self._names(f"kept/{folder}")))

    def path(self, key: str) -> Path:
        """Return the path of the file."""
        return self._root / check_key(key)

    def link(self, key: str, *, name: str, content_type: str, seconds: int) -> None:  # noqa: ARG002 - the protocol's
        """Return None: a folder serves nothing by itself."""
        check_key(key)

    def check(self) -> None:
        """Check that the folder can be written, and has space left."""
        with self._outage():
            _make_folder(self._root / _INCOMING)
            free = os.statvfs(self._root)
        if not os.access(self._root / _INCOMING, os.W_OK | os.X_OK):
            raise UnavailableError(
                f"the storage {self._root} cannot be written by user {os.getuid()}; change its owner"
            )
        if not (free.f_bavail and free.f_favail):
            raise UnavailableError(f"the storage {self._root} is full; free space, or give it a larger disk")

    def close(self) -> None:
        """Close nothing: no file is open between two calls."""

    def _write_aside(self, aside: Path, pieces: Iterable[bytes]) -> tuple[int, str]:
        """Write and sync the content; return its size and its SHA-256."""
        digest, size = hashlib.sha256(), 0
        with self._outage():
            _make_folder(aside.parent)
            file = os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE), "wb")
        with file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                with self._outage():
                    file.write(piece)
            with self._outage():
                file.flush()
                os.fsync(file.fileno())
        return size, digest.hexdigest()

    def _read(self, file: io.FileIO, size: int) -> bytes:
        with self._outage():
            return file.read(size)

    def _keys_in(self, folder: str, before: float) -> Iterator[str]:
        """Yield the keys of one folder; files of others' making are left alone."""
        for name in self._names(folder):
            key = f"{folder}/{name}"
            if (is_key(key) or _INCOMING_KEY.fullmatch(key)) and self._written_at(key) < before:
                yield key

    def _names(self, folder: str) -> list[str]:
        with self._outage():
            try:
                return sorted(entry.name for entry in (self._root / folder).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def _written_at(self, key: str) -> float:
        """Return when the file was written; for one that was deleted meanwhile, a moment that is still to come."""
        with self._outage():
            try:
                return (self._root / key).stat().st_mtime
            except FileNotFoundError:
                return float("inf")

    @contextmanager
    def _outage(self) -> Iterator[None]:
        """Raise an error of the operating system as `UnavailableError`."""
        try:
            yield
        except OSError as error:
            detail = f"the storage {self._root} failed: {error.strerror or error}; see the runbook, storage"
            raise UnavailableError(detail) from error


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; when this returns they survive a crash of the machine."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
