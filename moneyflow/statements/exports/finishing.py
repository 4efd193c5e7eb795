"""Finishing: the steps of the jobs that make exports, each of which may be the last of its process.

1. The file is written to the storage. A later attempt writes another one, and the sweep deletes what no row names.
2. The row of the file, the ready export and the job of the mail commit together with the end of the job.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.gateways.storage import Storage, Written, files, new_key
from moneyflow.jobs.send_export import SendExport
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries
from moneyflow.statements.exports.exports import (
    CONTENT_TYPES,
    FILE_KEPT,
    SUFFIXES,
    ExportRefusedError,
    PendingExport,
    Period,
)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def finish(
    session: Session, storage: Storage, export_id: UUID, pieces: Callable[[PendingExport], Iterable[bytes]]
) -> dict[str, Any]:
    """Write a pending export's file from its `pieces`, and return the result of its job.

    Raises:
        UnavailableError: the storage is down or full.
    """
    row = session.fetch_one(_QUERIES["pending"], {"id": export_id})
    if row is None:
        return {"export_id": str(export_id), "reason": "the export is made already, or its account was deleted"}
    first, last = row.pop("first_day"), row.pop("last_day")
    export = PendingExport(**row, period=Period(first=first, last=last) if first else None)
    try:
        written = storage.write(new_key("private", SUFFIXES[export.format]), pieces(export))
    except ExportRefusedError as error:  # A result too, for the one who has asked for it.
        return {"export_id": str(export_id), "refused": error.detail}
    session.commit()  # What was read is no longer needed: it must not keep dead rows of others.
    return _ready(session, export, written)


def _ready(session: Session, export: PendingExport, written: Written) -> dict[str, Any]:
    if session.fetch_one(_QUERIES["lock"], {"id": export.id}) is None:  # The account was deleted meanwhile.
        return {"export_id": str(export.id), "reason": "the account was deleted"}
    expires_at = clock.now() + FILE_KEPT
    name, type_ = _name(export), CONTENT_TYPES[export.format]
    file_id = files.add(session, written, name=name, content_type=type_, owner_id=export.user_id, expires_at=expires_at)
    session.execute(_QUERIES["ready"], {"id": export.id, "file_id": file_id, "expires_at": expires_at})
    enqueue(session, SendExport(export_id=export.id))
    file = {"id": str(file_id), "name": name, "content_type": type_, "size": written.size, "sha256": written.sha256}
    return {"export_id": str(export.id), "file": file}


def _name(export: PendingExport) -> str:
    """Return the name under which a browser keeps the file."""
    suffix = SUFFIXES[export.format]
    if export.period is None:
        return f"money-flow-data-{export.created_at:%Y-%m-%d}{suffix}"
    return f"statement-{export.period.first}-{export.period.last}{suffix}"
