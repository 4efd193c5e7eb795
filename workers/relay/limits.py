"""Admission: the leader gives the free places of each limit to the jobs that wait; it alone admits, so none race."""

import time
from collections.abc import Callable

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.events.reporter import Warn
from moneyflow.platform.jobs.contract import limits
from moneyflow.platform.jobs.store import admission
from moneyflow.platform.retention import purged_rows

_BATCH = 500
#: Seconds between two looks while limits are declared: the window of a rate moves without a notification.
_WAITING_SECONDS = 0.1
_IDLE_SECONDS = 0.5
_TIDY_EVERY_SECONDS = 60.0
#: Seconds that the next job of a limit waits for a place before it is an operator's matter.
_LONGEST_WAIT_SECONDS = 300.0
_SHORTEST_MEMORY_SECONDS = 3600.0


class Admission:
    """Admits jobs; each keeps its place until its attempt ends."""

    def __init__(self, connection: AsyncConnection[DictRow], *, admitted: Callable[[], None], warn: Warn) -> None:
        self._warn = warn
        self._connection = connection
        self._admitted = admitted
        self._limits = list(limits().values())
        self._tidied_at = 0.0

    async def run_once(self) -> float:
        """Admit what there is room for; return the seconds to wait before the next look, 0 when some were admitted."""
        if time.monotonic() - self._tidied_at > _TIDY_EVERY_SECONDS:
            await self._tidy()
        if not self._limits:
            return _IDLE_SECONDS
        admitted = await admission.admit(self._connection, self._limits, at_most=_BATCH)
        if not admitted:
            return _WAITING_SECONDS
        self._admitted()
        return 0

    async def _tidy(self) -> None:
        """Purge starts that no rate counts, and warn of limits that keep jobs waiting."""
        self._tidied_at = time.monotonic()
        windows = [limit.rate.per_seconds for limit in self._limits if limit.rate]
        seconds = max([*windows, _SHORTEST_MEMORY_SECONDS])
        purged_rows.labels("job_starts").inc(await admission.purge_starts(self._connection, seconds=seconds))
        for name in await admission.unknown_limits(self._connection, self._limits):
            message = (
                f"No relay of this version declares the limit {name}, and its jobs wait: deploy relays that declare "
                "it, or keep it declared until they are done."
            )
            self._warn(code="limit_unknown", message=message, subject=name, details={"limit": name})
        for row in await admission.longest_waits(self._connection, seconds=_LONGEST_WAIT_SECONDS):
            message = (
                f"Jobs have waited {row['seconds']:.0f} seconds for a place of the limit {row['name']}. Look at what "
                "holds its places by `moneyflow jobs list --state running`, or raise the limit."
            )
            details = {"limit": row["name"], "seconds": round(row["seconds"])}
            self._warn(code="limit_saturated", message=message, subject=row["name"], details=details)
