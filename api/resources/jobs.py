"""`/v1/jobs/{id}`: the state of a job."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import falcon
from psycopg.rows import DictRow
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.guards import optionally_signed_in, owner_scope
from api.paths import file_url, id_of
from api.resources.batches import ProgressView, progress_of
from moneyflow.jobs import registry as contracts
from moneyflow.platform.database import Database, Session
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.public_errors import public_error
from moneyflow.platform.jobs.store.status import job_status


class JobErrorView(TypedDict):
    """Why a job failed: a code for programs, and a sentence for people."""

    code: str
    message: str


class JobView(TypedDict):
    """A job of the caller; `result` is there once it has succeeded, `error` says why its last attempt failed."""

    id: UUID
    kind: str
    state: str
    attempt: int
    progress: ProgressView | None
    result: dict[str, Any] | None
    error: JobErrorView | None
    enqueued_at: datetime
    due_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class StrangersJobView(TypedDict):
    """A job of a request without a session."""

    id: UUID
    state: Literal["accepted", "done"]


class Job:
    """A job that a request has left: for its owner and administrators; one of an anonymous request by its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @optionally_signed_in
    @describes("read_job", answers={200: JobView | StrangersJobView})
    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state, attempt, progress, times, and the result or the error; nothing of the payload.

        A job that waits for the end of its batch shows the batch's progress.
        """
        parsed = id_of("job", job_id, found="the header Location of the answer that made it")
        with self._database.transaction() as session:
            row = job_status(owner_scope(request, session), parsed)
            if row["waits_for"] == "batch":
                row["progress"] = _progress_of_batch(session, parsed)
        send(request, response, json_answer(_shown(row)))


def _shown(row: DictRow) -> JobView | StrangersJobView:
    if row["is_for_strangers"]:
        # SECURITY: neither how it ended nor when it ran, by which strangers would learn whether an address has an
        # account.
        return {"id": row["id"], "state": "done" if row["is_done"] else "accepted"}
    return {
        "id": row["id"],
        "kind": row["kind"],
        "state": row["state"],
        "attempt": row["attempt"],
        "progress": row["progress"],
        "result": _linked(_public(row["kind"], row["result"])),
        "error": _error(row),
        "enqueued_at": row["enqueued_at"],
        "due_at": row["due_at"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
    }


def _progress_of_batch(session: Session, end_job_id: UUID) -> ProgressView | None:
    """Return the progress of the batch whose end the job waits for."""
    batch_id = batches.of(session, end_job_id)
    return progress_of(batches.status(session, batch_id)) if batch_id else None


def _public(kind: str, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the members of the result that its contract makes public; nothing where this process has no contract."""
    contract = contracts.get(kind)
    if contract is None or result is None:
        return None
    public = contract.public_result
    return result if public is None else {name: value for name, value in result.items() if name in public}


def _linked(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Add the address of the file that is the result; results of older workers have it already."""
    file = result.get("file") if result else None
    if result is None or not isinstance(file, dict) or "url" in file or not {"id", "sha256"} <= file.keys():
        return result
    return {**result, "file": {**file, "url": file_url(file["id"])}}


def _error(row: DictRow) -> JobErrorView | None:
    """Return why the last attempt failed, by its public code and sentence. A job that succeeded has no error."""
    if row["error_class"] is None:
        return None
    public = public_error(row["error_class"])
    return {"code": public.code, "message": public.message}
