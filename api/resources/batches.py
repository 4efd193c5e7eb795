"""`/v1/batches/{id}`: how far the jobs of a batch have come."""

from typing import Any

import falcon

from api.answers import send
from api.guards import owner_scope, signed_in
from api.paths import id_of
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs.batch_statuses import BatchStatuses
from moneyflow.platform.jobs.batches import Status

#: Seconds after which a client asks again for an open batch.
_RETRY_AFTER_SECONDS = 2


class Batch:
    """A batch that a request has left: for its owner and administrators."""

    def __init__(self, database: Database, statuses: BatchStatuses) -> None:
        self._database = database
        self._statuses = statuses

    @signed_in
    def on_get(self, request: falcon.Request, response: falcon.Response, batch_id: str) -> None:
        """Return state, counts, progress, end job and times; nothing of its jobs."""
        parsed = id_of("batch", batch_id, found="the answer that made it")
        with self._database.transaction() as session:
            status = self._statuses.owned(owner_scope(request, session), parsed)
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if status.state == "open" else {}
        send(request, response, json_answer(_shown(status), headers=headers))


def _shown(status: Status) -> dict[str, Any]:
    # SECURITY: without name and reason of a cancel, which are for operators.
    return {
        "id": status.id,
        "state": status.state,
        "sealed": status.sealed,
        "counts": status.counts,
        "progress": progress_of(status),
        "end_job_id": status.end_job_id,
        "created_at": status.created_at,
        "ended_at": status.ended_at,
    }


def progress_of(status: Status) -> dict[str, Any]:
    """Return the progress of a batch in the form of a job's."""
    return {"done": status.done, "total": status.total, "note": None}
