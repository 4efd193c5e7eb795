"""Result files: a `File` that a handler returned is written to the storage, and its row commits with its job's end."""

from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.gateways.storage import Storage, files, new_key
from moneyflow.platform.database import Session
from moneyflow.platform.jobs.result_file import File
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


class ResultFiles:
    """Stores result files."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def store(self, session: Session, file: File, *, job_id: UUID) -> dict[str, Any]:
        """Write the file, add its row in the session's transaction, and return the job's result that describes it.

        The file belongs to the owner of the job, and is deleted with the job. An attempt that is rolled back leaves a
        file without a row, which the sweep deletes.

        Raises:
            PermanentError: its name, its type or its size does not fit.
            UnavailableError: the storage is down or full.
        """
        file.check()
        written = self._storage.write(new_key("private"), [file.content])
        job = session.fetch_one(_QUERIES["owner"], {"id": job_id})
        file_id = files.add(
            session,
            written,
            name=file.name,
            content_type=file.content_type,
            owner_id=job["owner_id"] if job else None,
            job_id=job_id,
        )
        description = {"name": file.name, "content_type": file.content_type, "size": written.size}
        return {"file": {"id": str(file_id), **description, "sha256": written.sha256}}
