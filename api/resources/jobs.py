"""`/v1/jobs/{id}`: the state of a job."""

from datetime import datetime
from typing import Any

import falcon
from psycopg.rows import DictRow

from api.answers import send
from api.guards import public
from api.paths import file_url, id_of
from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs.store.status import job_status

_TIMES = ("enqueued_at", "due_at", "started_at", "finished_at")


class Job:
    """A job that a request has left. Its id is the permission to read its state."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @public
    def on_get(self, request: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state, attempt, progress, times, and the result or the error; nothing of the payload."""
        parsed = id_of("job", job_id, found="the header Location of the answer that made it")
        with self._database.transaction() as session:
            status = job_status(session, parsed)
        send(request, response, json_answer(_shown(status)))


def _shown(status: DictRow) -> dict[str, Any]:
    return {
        "id": str(status["id"]),
        "state": status["state"],
        "attempt": status["attempt"],
        "progress": status["progress"],
        "result": _linked(status["result"]),
        "error": _error(status),
        **{name: _written(status[name]) for name in _TIMES},
    }


def _linked(result: dict[str, Any] | None) -> dict[str, Any] | None:
    """Add the address of the file that is the result; results of older workers have it already."""
    file = result.get("file") if result else None
    if result is None or not isinstance(file, dict) or "url" in file or not {"id", "sha256"} <= file.keys():
        return result
    return {**result, "file": {**file, "url": file_url(file["id"])}}


def _error(status: DictRow) -> dict[str, str] | None:
    """Return why the last attempt failed; the text is redacted and cut already. A job that succeeded has none."""
    if status["error_class"] is None:
        return None
    return {"class": status["error_class"], "message": status["error_message"]}


def _written(moment: datetime | None) -> str | None:
    # SECURITY: to the second. Finer times would show which mail a sign-up led to, and so whether the address has an
    # account.
    return rfc3339(moment.replace(microsecond=0)) if moment else None
