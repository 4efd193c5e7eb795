"""`/v1/jobs/{id}`: how a job is."""

from datetime import datetime

import falcon
import orjson
from psycopg.rows import DictRow

from api.paths import id_of
from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Database
from moneyflow.platform.jobs.store import status as reading

_TIMES = ("enqueued_at", "due_at", "started_at", "finished_at")


class Job:
    """A job that a request has left, for whoever holds its address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_get(self, _: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state, attempt, progress, times, and the result or the error; nothing that the job works on."""
        named = id_of("job", job_id, found="the header Location of the answer that made it")
        with self._database.transaction() as session:
            status = reading.job_status(session, named)
        times = {name: _written(status[name]) for name in _TIMES}
        outcome = {name: status[name] for name in ("state", "attempt", "progress", "result")}
        response.data = orjson.dumps({"id": str(status["id"]), **outcome, "error": _error(status), **times})


def _error(status: DictRow) -> dict[str, str] | None:
    """Return why the last try failed; the text is redacted and cut already. A job that succeeded has none."""
    if status["error_class"] is None:
        return None
    return {"class": status["error_class"], "message": status["error_message"]}


def _written(moment: datetime | None) -> str | None:
    # SECURITY: to the second, for finer times would tell what kind of mail a sign-up led to, and so whether the address
    # has an account.
    return rfc3339(moment.replace(microsecond=0)) if moment else None
