"""`/v1/batches/{id}`: how far the jobs of a batch have come."""

from collections.abc import Sequence
from typing import Any

import falcon

from api.answers import send
from api.guards import caller_of, signed_in
from api.paths import id_of
from moneyflow.platform.database import Database
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import Refusal, Status


class Batch:
    """A batch that a request has left; its owner and administrators may read it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    def on_get(self, request: falcon.Request, response: falcon.Response, batch_id: str) -> None:
        """Return state, counts, progress, end job, times and refused lines; nothing of its jobs."""
        parsed, caller = id_of("batch", batch_id, found="the answer that made it"), caller_of(request)
        with self._database.transaction() as session:
            status = batches.status(session, parsed)
            if not caller.is_administrator and status.owner_id != caller.user_id:
                # SECURITY: answered like a missing one.
                raise NotFoundError(f"there is no batch {parsed}")
            refused = batches.refused(session, parsed)
        send(request, response, json_answer(_shown(status, refused)))


def _shown(status: Status, refused: Sequence[Refusal]) -> dict[str, Any]:
    # SECURITY: without name and reason of a cancel, which are for operators.
    return {
        "id": status.id,
        "state": status.state,
        "sealed": status.sealed,
        "counts": status.counts,
        "progress": progress_of(status),
        "refused": [{"line": one.line, "reason": one.reason} for one in refused],
        "end_job_id": status.end_job_id,
        "created_at": status.created_at,
        "ended_at": status.ended_at,
    }


def progress_of(status: Status) -> dict[str, Any]:
    """Return the progress of a batch in the form of a job's."""
    return {"done": status.done, "total": status.total, "note": None}
