"""`/v1/jobs/{id}`: how a job is."""

from datetime import datetime

import falcon
import orjson

from moneyflow.clock import rfc3339
from moneyflow.database import Database
from moneyflow.errors import NotFoundError
from moneyflow.ids import parse_id
from moneyflow.ledger import reading

_TIMES = ("enqueued_at", "due_at", "started_at", "finished_at")


class Job:
    """A job that a request has left, for whoever holds its address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def on_get(self, _: falcon.Request, response: falcon.Response, job_id: str) -> None:
        """Return state and times, and nothing that the job works on."""
        parsed = parse_id(job_id)
        if parsed is None:
            raise NotFoundError("an id of a job is a UUID, as in the header Location of the answer that made it")
        with self._database.transaction() as session:
            status = reading.job_status(session, parsed)
        times = {name: _written(status[name]) for name in _TIMES}
        response.data = orjson.dumps({"id": str(status["id"]), "state": status["state"], **times})


def _written(moment: datetime | None) -> str | None:
    # SECURITY: to the second, for finer times would tell what kind of mail a sign-up led to, and so whether the address
    # has an account.
    return rfc3339(moment.replace(microsecond=0)) if moment else None
