"""`/v1/batches/{id}`: how far the jobs of a batch have come."""

from collections.abc import Mapping, Sequence
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
from moneyflow.platform.jobs.batch_statuses import BatchStatuses
from moneyflow.platform.jobs.batches import Refusal, Status

#: Seconds after which a client asks again for an open batch.
_RETRY_AFTER_SECONDS = 2


class ProgressView(TypedDict):
    """How much of its work is done; `total` is null where it is not known."""

    done: int
    total: int | None
    note: str | None


class RefusalView(TypedDict):
    """A line of the request that made the batch, counted from 1, for which nothing was done, and why."""

    line: int
    reason: str


class BatchView(TypedDict):
    """A batch of jobs; `counts` has the number of jobs in each state."""

    id: UUID
    state: batches.State
    sealed: bool
    counts: Mapping[str, int]
    progress: ProgressView
    refused: list[RefusalView]
    end_job_id: UUID | None
    created_at: datetime
    ended_at: datetime | None


class Batch:
    """A batch that a request has left: for its owner and administrators."""

    def __init__(self, database: Database, statuses: BatchStatuses) -> None:
        self._database = database
        self._statuses = statuses

    @signed_in
    @describes(
        "read_batch",
        answers={200: BatchView},
        headers={"Retry-After": "Seconds after which it is worth to ask again, while the batch is open."},
    )
    def on_get(self, request: falcon.Request, response: falcon.Response, batch_id: str) -> None:
        """Return state, counts, progress, end job, times and refused lines; nothing of its jobs."""
        parsed = id_of("batch", batch_id, found="the answer that made it")
        with self._database.transaction() as session:
            status = self._statuses.owned(owner_scope(request, session), parsed)
            refused = batches.refused(session, parsed)
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if status.state == "open" else {}
        send(request, response, json_answer(_shown(status, refused), headers=headers))


def _shown(status: Status, refused: Sequence[Refusal]) -> BatchView:
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


def progress_of(status: Status) -> ProgressView:
    """Return the progress of a batch in the form of a job's."""
    return {"done": status.done, "total": status.total, "note": None}
