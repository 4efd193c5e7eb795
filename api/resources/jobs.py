"""`/v1/jobs/{id}`: the state of a job."""

from datetime import datetime
from typing import Any
from uuid import UUID

import falcon
from psycopg.rows import DictRow
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.guards import public
from api.paths import file_url, id_of
from api.resources.batches import ProgressView, progress_of
from moneyflow.platform.database import Database, Session
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.store.status import job_status

_MAIL_OUTCOMES = frozenset({"bounced", "suppressed"})


JobErrorView = TypedDict("JobErrorView", {"class": str, "message": str})


class JobView(TypedDict):
    """A job; `result` is there once it has succeeded, `error` says why its last attempt failed."""

    id: UUID
    state: str
    attempt: int
    progress: ProgressView | None
    result: dict[str, Any] | None
    error: JobErrorView | None
    enqueued_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class Job:
    """A job that a request has left. Its id is the permission to read its state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @public
    @describes("read_job", answers={200: JobView})
    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state, attempt, progress, times, and the result or the error; nothing of the payload.

        A job that waits for the end of its batch shows the batch's progress.
        """
        parsed = id_of("job", job_id, found="the header Location of the answer that made it")
        with self._database.transaction() as session:
            status = job_status(session, parsed)
            if status["waits_for"] == "batch":
                status["progress"] = _progress_of_batch(session, parsed)
        send(request, response, json_answer(_shown(status)))


def _shown(status: DictRow) -> JobView:
    return {
        "id": status["id"],
        "state": status["state"],
        "attempt": status["attempt"],
        "progress": status["progress"],
        "result": _linked(_public(status["result"])),
        "error": _error(status),
        "enqueued_at": status["enqueued_at"],
        "due_at": status["due_at"],
        "started_at": status["started_at"],
        "finished_at": status["finished_at"],
    }


def _progress_of_batch(session: Session, end_job_id: UUID) -> ProgressView | None:
    """Return the progress of the batch whose end the job waits for."""
    batch_id = batches.of(session, end_job_id)
    return progress_of(batches.status(session, batch_id)) if batch_id else None


def _public(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return of a mail that bounced only that it was not sent.

    SECURITY: a suppressed mail shows that the address has an account, and a reply shows what its mail server says.
    """
    return {"sent": False} if result and result.get("outcome") in _MAIL_OUTCOMES else result


def _linked(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Add the address of the file that is the result; results of older workers have it already."""
    file = result.get("file") if result else None
    if result is None or not isinstance(file, dict) or "url" in file or not {"id", "sha256"} <= file.keys():
        return result
    return {**result, "file": {**file, "url": file_url(file["id"])}}


def _error(status: DictRow) -> JobErrorView | None:
    """Return why the last attempt failed; the text is redacted and cut already. A job that succeeded has none."""
    if status["error_class"] is None:
        return None
    return {"class": status["error_class"], "message": status["error_message"]}
