"""Imports: have a statement imported, and read what has come of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from moneyflow.gateways.storage import Written, files
from moneyflow.jobs.import_statement import ImportStatement
from moneyflow.platform import clock
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.queries import load_queries
from moneyflow.statements.reading.encodings import refused_file
from moneyflow.statements.reading.mapping import Plan

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: How long an uploaded file is kept whose import has not ended; the file of one that has ended is deleted with its end.
UPLOADS_KEPT = timedelta(days=30)
#: Refused rows of an import that are kept and shown; all are counted.
REFUSALS_KEPT = 1000

LONGEST_NAME = 255
#: No folder, no control character, no mark that turns the direction of writing.
_NAME = Pattern(r"[^\x00-\x1f\x7f-\x9f/\\\u200e\u200f\u2028-\u202e\u2066-\u2069]+", longest=LONGEST_NAME)
_CONTENT_TYPES = {"csv": "text/csv", "ofx": "application/x-ofx"}
#: What its owner reads of an import whose job has failed: the cause is the operators'.
_BROKEN = "an error of the server stopped the import, and it continues once that is repaired; nothing is added twice"


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A statement that was written to the storage, and how it is to be read."""

    written: Written
    name: str
    plan: Plan


@dataclass(frozen=True, kw_only=True)
class Requested:
    """An import that was requested, and the job that reads it."""

    id: UUID
    job_id: UUID


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A row that was refused, and why."""

    line: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Import:
    """An import as its owner sees it; `state` is pending, running, succeeded, failed or cancelled."""

    id: UUID
    job_id: UUID
    name: str
    format: str
    state: str
    error: str | None
    rows_read: int
    rows_added: int
    rows_duplicate: int
    rows_refused: int
    refused: tuple[Refusal, ...]
    created_at: datetime
    finished_at: datetime | None


def file_name(name: str | None) -> str:
    """Return the name of an uploaded file.

    Raises:
        InvalidInputError: there is none, it is too long, or it is the path of a file.
    """
    bare = (name or "").strip()
    if not bare:
        raise refused_file("has no name; send it as a file, with `filename` in its Content-Disposition")
    if not _NAME.fullmatch(bare) or bare in {".", ".."}:
        raise refused_file(
            f"has a name that is a path, has control characters or more than {LONGEST_NAME} characters; rename it"
        )
    return bare


def request(scope: OwnerScope, upload: Upload) -> Requested:
    """Insert an import with its file and the job that reads it.

    Raises:
        NotFoundError: the account was deleted.
    """
    import_id, written = new_id(), upload.written
    scope.row(_QUERIES["lock_owner"], import_id, what="account of this session any more, so no import")
    job_id = enqueue(scope.session, ImportStatement(import_id=import_id))
    file_id = files.add(
        scope.session,
        written,
        name=upload.name,
        content_type=_CONTENT_TYPES[upload.plan.format],
        owner_id=scope.owner_id,
        expires_at=clock.now() + UPLOADS_KEPT,
    )
    row = {"id": import_id, "job_id": job_id, "file_id": file_id, "name": upload.name, "size": written.size}
    scope.execute(_QUERIES["insert"], {**row, "plan": Jsonb(upload.plan.model_dump(mode="json"))})
    return Requested(id=import_id, job_id=job_id)


def read(scope: OwnerScope, import_id: UUID) -> Import:
    """Return an import with the first of its refused rows.

    Raises:
        NotFoundError: the owner has no such import.
    """
    row: dict[str, Any] = scope.row(_QUERIES["import"], import_id, what="import")
    refused = scope.rows(_QUERIES["refusals"], {"id": import_id, "limit": REFUSALS_KEPT})
    error = _BROKEN if row["state"] == "failed" and row["error"] is None else row["error"]
    return Import(**{**row, "error": error}, refused=tuple(Refusal(**one) for one in refused))
