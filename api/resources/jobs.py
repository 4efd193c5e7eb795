"""`/v1/jobs/{id}`: the state of a job."""

import random
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import falcon
from psycopg.rows import DictRow
from pydantic import Field
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.guards import optionally_signed_in, owner_scope
from api.paths import file_url, id_of
from api.resources.batches import ProgressView, progress_of
from moneyflow.jobs import registry as contracts
from moneyflow.platform.database import Database
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batch_statuses import BatchStatuses
from moneyflow.platform.jobs.public_errors import public_error
from moneyflow.platform.jobs.store.status import STRANGERS_SECONDS, job_status
from moneyflow.platform.jobs.waits import JobWaits

#: Seconds that a request may wait at most: below the time-outs of proxies, and of gunicorn for a graceful stop.
_LONGEST_WAIT = 20
#: Seconds after which a client asks again for a job that runs or is about to.
_RETRY_AFTER_SECONDS = 2
#: The same for a client that wanted to wait when all places were taken. Each gets another number, so that many clients
#: do not come again at one moment.
_WITHOUT_PLACE_SECONDS = range(5, 11)
_RANDOM = random.SystemRandom()
_WAITING = frozenset({"scheduled", "retrying"})


Wait = Annotated[int, Field(ge=0, le=_LONGEST_WAIT, description="Seconds to wait for the end of the job.")]


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

    def __init__(self, database: Database, waits: JobWaits, statuses: BatchStatuses) -> None:
        self._database = database
        self._waits = waits
        self._statuses = statuses

    @optionally_signed_in
    @describes(
        "read_job",
        answers={200: JobView | StrangersJobView},
        parameters={"wait": Wait},
        headers={"Retry-After": "Seconds after which it is worth to ask again, while the job has not ended."},
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state, attempt, progress, times, and the result or the error; nothing of the payload.

        With `?wait=` seconds the answer comes when the job ends, or after these seconds. A job that waits for the end
        of its batch shows the batch's progress.
        """
        parsed = id_of("job", job_id, found="the header Location of the answer that made it")
        seconds = _seconds(request.get_param("wait"))
        row = self._read(request, parsed)
        has_waited = True
        if seconds and not _is_over(row):
            # No connection is held while the request waits.
            has_waited = self._waits.wait(parsed, seconds=seconds, is_stranger=row["is_for_strangers"])
            row = self._read(request, parsed) if has_waited else row
        retry_after = _retry_after(row) if has_waited else _RANDOM.choice(_WITHOUT_PLACE_SECONDS)
        headers = {} if _is_over(row) else {"Retry-After": str(retry_after)}
        send(request, response, json_answer(_shown(row), headers=headers))

    def _read(self, request: falcon.Request, job_id: UUID) -> DictRow:
        with self._database.transaction() as session:
            row = job_status(owner_scope(request, session), job_id)
            batch_id = batches.of(session, job_id) if row["waits_for"] == "batch" else None
            if batch_id is not None:
                row["progress"] = progress_of(self._statuses.of(session, batch_id))
        return row


def _seconds(text: str | None) -> int:
    """Return the seconds of `?wait=`.

    Raises:
        InvalidInputError: it is no number from 0 to 20.
    """
    if text is None:
        return 0
    if not (
        text.isascii() and text.isdecimal() and len(text) <= len(str(_LONGEST_WAIT)) and int(text) <= _LONGEST_WAIT
    ):
        detail = f"must be a whole number of seconds from 0 to {_LONGEST_WAIT}"
        raise InvalidInputError("the query parameter wait does not fit", (("/wait", detail),))
    return int(text)


def _is_over(row: DictRow) -> bool:
    return bool(row["is_done"] if row["is_for_strangers"] else row["has_ended"])


def _retry_after(row: DictRow) -> int:
    """Return the seconds until it is worth to ask again. SECURITY: for strangers always the same."""
    if row["is_for_strangers"]:
        return STRANGERS_SECONDS
    return max(row["due_in_seconds"], _RETRY_AFTER_SECONDS) if row["state"] in _WAITING else _RETRY_AFTER_SECONDS


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
