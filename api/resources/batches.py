"""`/v1/batches/{id}`: how far the jobs of a batch have come."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import falcon
from typing_extensions import TypedDict

from api.answers import send
from api.descriptions import describes
from api.guards import owner_scope, signed_in
from api.paths import id_of
from moneyflow.platform.database import Database
from moneyflow.platform.http.answers import json_answer
from moneyflow.platform.jobs import batches
from moneyflow.platform.jobs.batches import Status


class ProgressView(TypedDict):
    """How much of its work is done; `total` is null where it is not known."""

    done: int
    total: int | None
    note: str | None


class BatchView(TypedDict):
    """A batch of jobs; `counts` has the number of jobs in each state."""

    id: UUID
    state: batches.State
    sealed: bool
    counts: Mapping[str, int]
    progress: ProgressView
    end_job_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


class Batch:
    """A batch that a request has left: for its owner and administrators."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @signed_in
    @describes("read_batch", answers={200: BatchView})
    def on_get(self, request: falcon.Request, response: falcon.Response, batch_id: str) -> None:
        """Return state, counts, progress, end job and times; nothing of its jobs."""
        parsed = id_of("batch", batch_id, found="the answer that made it")
        with self._database.transaction() as session:
            status = batches.owned(owner_scope(request, session), parsed)
        send(request, response, json_answer(_shown(status)))


def _shown(status: Status) -> BatchView:
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


def progress_of(status: Status) -> ProgressView:
    """Return the progress of a batch in the form of a job's."""
    return {"done": status.done, "total": status.total, "note": None}
