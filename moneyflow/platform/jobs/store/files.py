"""Result files of jobs, in Postgres, so that a file exists exactly when its job has succeeded."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.errors import PermanentError
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.patterns import ASCII, Pattern
from moneyflow.platform.queries import load_queries

#: Bytes; worker and API hold a whole file in memory.
MAX_FILE_BYTES = 16 * 1024 * 1024

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_NAME = Pattern(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,255}", longest=255)
_CONTENT_TYPE = Pattern(r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?[\w-]{1,50}=[\w.-]{1,50}){0,5}", longest=730, flags=ASCII)


@dataclass(frozen=True, kw_only=True)
class File:
    """A result file: a handler returns one, and it is stored for as long as its job's row."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"

    def check(self) -> None:
        """Check that the file can be stored and served.

        Raises:
            PermanentError: its name, its type or its content does not fit; a retry would not change that.
        """
        for field, wanted in (("name", str), ("content_type", str), ("content", bytes)):
            if not isinstance(getattr(self, field), wanted):
                given = type(getattr(self, field)).__name__
                raise PermanentError(f"the file's {field} is of type {given}: give {wanted.__name__}")
        if not _NAME.fullmatch(self.name):
            raise PermanentError(f"the file's name {self.name!r} does not fit: give 1 to 255 characters without a path")
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise PermanentError(f"the file's content_type {self.content_type!r} does not fit: use the form text/csv")
        if len(self.content) > MAX_FILE_BYTES:
            raise PermanentError(f"the file's content has {len(self.content)} bytes; return at most {MAX_FILE_BYTES}")


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A stored file; `sha256` is the hexadecimal digest of its content."""

    file: File
    sha256: str


def store(session: Session, job_id: UUID, file: File) -> dict[str, Any]:
    """Store the file in the session's transaction, and return the job's result that describes it, with its id.

    Raises:
        PermanentError: its name, its type or its size does not fit.
    """
    file.check()
    file_id = new_id()
    description = {"name": file.name, "content_type": file.content_type, "size": len(file.content)}
    description["sha256"] = hashlib.sha256(file.content).hexdigest()
    session.execute(_QUERIES["store"], {**description, "id": file_id, "job_id": job_id, "content": file.content})
    return {"file": {"id": str(file_id), **description}}


def read(scope: OwnerScope, file_id: UUID) -> StoredFile:
    """Return a file of a job that the caller owns; an administrator reads all.

    Raises:
        NotFoundError: there is no such file, or it is another user's; a file is deleted with its job.
    """
    row = scope.row(_QUERIES["file"], file_id, what="file")
    file = File(name=row["name"], content=row["content"], content_type=row["content_type"])
    return StoredFile(file=file, sha256=row["sha256"])
