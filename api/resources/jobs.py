"""`/v1/jobs/{id}`: the state of a job."""

from typing import Any
from uuid import UUID

import falcon
from psycopg.rows import DictRow

from api.answers import send
from api.guards import optionally_signed_in, owner_scope
from api.paths import file_url, id_of
from api.resources.batches import progress_of
from moneyflow.jobs import registry as contracts
from moneyflow.platform.database import Database, Session
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.public_errors import public_error
from moneyflow.platform.jobs.store.status import job_status

_TIMES = ("enqueued_at", "due_at", "started_at", "finished_at")


class Job:
    """A job that a request has left: for its owner and administrators; one of an anonymous request by its id."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @optionally_signed_in
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


def _shown(row: DictRow) -> dict[str, Any]:
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
        **{name: row[name] for name in _TIMES},
    }


def _progress_of_batch(session: Session, end_job_id: UUID) -> dict[str, Any] | None:
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


def _error(row: DictRow) -> dict[str, str] | None:
    """Return why the last attempt failed, by its public code and sentence. A job that succeeded has no error."""
    if row["error_class"] is None:
        return None
    public = public_error(row["error_class"])
    return {"code": public.code, "message": public.message}
