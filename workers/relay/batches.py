"""Batches: the leader ends batches without unfinished members, and cancels those that a failed member cancels."""

import asyncio
import time
from collections.abc import Callable

import structlog

from moneyflow.platform import failpoints
from moneyflow.platform.database import Database
from moneyflow.platform.jobs import metrics
from moneyflow.platform.jobs.store import batches
from moneyflow.platform.jobs.store.batches import CancelledMembers

log = structlog.get_logger(__name__)

_BEFORE_BATCH_END = failpoints.declare("relay.before_batch_end")
_BATCHES_ENDED = failpoints.declare("relay.batches_ended")

#: Seconds between two looks; a batch ends at most this much later than its last member.
_POLL_SECONDS = 0.3
#: However many batches are open, looking at them takes no more than this share of the time.
_BUSY_SHARE = 0.2
_ENDED_AT_ONCE = 50
_CANCELLED_AT_ONCE = 1000


class BatchRelay:
    """Ends batches in a thread, on sessions of its own.

    A relay that no longer leads does no harm: the locks on the batches' rows decide.
    """

    def __init__(self, database: Database, *, freed: Callable[[], object]) -> None:
        self._database = database
        self._freed = freed

    async def run_once(self) -> float:
        """End what can end; return the seconds to wait before the next look, 0 when there may be more."""
        started = time.monotonic()
        has_more, has_freed = await asyncio.to_thread(self._run_once)
        if has_freed:
            self._freed()
        return 0 if has_more else max(_POLL_SECONDS, (time.monotonic() - started) / _BUSY_SHARE)

    def _run_once(self) -> tuple[bool, bool]:
        has_more = self._cancel_failed()
        with self._database.transaction() as session:
            ended = batches.end_finished(session, limit=_ENDED_AT_ONCE)
            if ended:
                failpoints.reach(_BEFORE_BATCH_END)
        if ended:
            failpoints.reach(_BATCHES_ENDED)
        for batch in ended:
            log.info("batch_ended", batch_id=str(batch.id), batch=batch.name, counts=batch.counts)
        return has_more or len(ended) == _ENDED_AT_ONCE, any(batch.end_job_id for batch in ended)

    def _cancel_failed(self) -> bool:
        """Cancel members of batches that a failed member cancels; return whether there are more."""
        with self._database.transaction() as session:
            cancelled = batches.cancel_failed(session, limit=_ENDED_AT_ONCE, members=_CANCELLED_AT_ONCE)
        for batch in cancelled:
            _report(batch)
        return any(len(batch.members) == _CANCELLED_AT_ONCE for batch in cancelled)


def _report(batch: CancelledMembers) -> None:
    for kind, state in batch.members:
        if state == "cancelled":
            metrics.jobs_finished.labels(kind, "cancelled").inc()
    log.warning(
        "batch_members_cancelled", batch_id=str(batch.batch_id), jobs=len(batch.members), reason="a member failed"
    )
