"""Files that are the results of jobs: in Postgres, so that each is there exactly when its job has succeeded."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError, PermanentError
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries

#: What is larger takes the memory of a worker and of the API at once.
MAX_FILE_BYTES = 16 * 1024 * 1024

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,255}")
_CONTENT_TYPE = re.compile(r"[\w.+-]{1,100}/[\w.+-]{1,100}(; ?[\w-]{1,50}=[\w.-]{1,50})*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class File:
    """A named content. A handler that returns one leaves it as its job's result, for as long as the job is kept."""

    name: str
    content: bytes
    content_type: str = "application/octet-stream"

    def check(self) -> None:
        """Refuse what could not be kept and served.

        Raises:
            PermanentError: no other try will do better with the same content, name or type.
        """
        if not _NAME.fullmatch(self.name):
            raise PermanentError(f"the file's name {self.name!r} is not one of 1 to 255 characters without a path")
        if not _CONTENT_TYPE.fullmatch(self.content_type):
            raise PermanentError(f"the file's content_type {self.content_type!r} is not of the form text/csv")
        if len(self.content) > MAX_FILE_BYTES:
            raise PermanentError(
                f"the file's content takes {len(self.content)} bytes; at most {MAX_FILE_BYTES} are kept"
            )


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file as it was kept; `sha256` is the hexadecimal digest of its content."""

    file: File
    sha256: str


def keep(session: Session, job_id: UUID, file: File) -> dict[str, Any]:
    """Keep the file in the session's transaction; return its description with its id, for the job's result.

    Raises:
        PermanentError: its name, its type or its size is not one that can be kept.
    """
    file.check()
    file_id = new_id()
    described = {"name": file.name, "content_type": file.content_type, "size": len(file.content)}
    described["sha256"] = hashlib.sha256(file.content).hexdigest()
    session.execute(_QUERIES["keep"], {**described, "id": file_id, "job_id": job_id, "content": file.content})
    return {"file": {"id": str(file_id), **described}}


def read(session: Session, file_id: UUID) -> KeptFile:
    """Return a file.

    Raises:
        NotFoundError: when there is none; it goes when its job's row is deleted.
    """
    row = session.fetch_one(_QUERIES["file"], {"id": file_id})
    if row is None:
        raise NotFoundError(f"there is no file {file_id}; files go when their jobs are deleted")
    file = File(name=row["name"], content=row["content"], content_type=row["content_type"])
    return KeptFile(file=file, sha256=row["sha256"])
