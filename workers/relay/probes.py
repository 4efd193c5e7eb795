"""Probes: the leader lets one job at a time of each kind whose breaker is open run again.

It also frees the places under limits that jobs of paused kinds hold: a pause must not hold up another kind.
"""

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.jobs.store import control

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.5


class Probes:
    """Chooses the job that probes a paused kind, once its wait is over."""

    def __init__(self, connection: AsyncConnection[DictRow]) -> None:
        self._connection = connection

    async def run_once(self) -> float:
        """Choose the probes that are due; return the seconds to wait before the next look."""
        released = await control.release_places(self._connection)
        if released:
            log.info("places_released", jobs=released, reason="their kinds are paused")
        for row in await control.choose_probes(self._connection):
            log.info("probe_chosen", job=row["kind"], job_id=str(row["probe_job_id"]))
        return _POLL_SECONDS
