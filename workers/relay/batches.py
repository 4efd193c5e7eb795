"""Batches end here: found without counting, ended with their counts, and the job that was to run then set free."""

import time
from collections.abc import Callable
from uuid import UUID

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from moneyflow.database import SESSION_OPTIONS
from moneyflow.failpoints import reach
from moneyflow.ledger.batches import QUERIES
from moneyflow.telemetry import metrics

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 0.3
#: However many batches are open, looking at them takes no more than this part of the time.
_BUSY_PART = 0.2
_ENDED_AT_ONCE = 50
_CANCELLED_AT_ONCE = 1000


class BatchRelay:
    """Ends what is sealed and has nothing unfinished, and cancels what a failed member cancels.

    On a connection of its own, for it needs a transaction of two statements: the first locks the batch, the second
    sees all that was added until then. A relay that is not the leader any more does no harm: the locks decide.
    """

    def __init__(self, conninfo: str, *, freed: Callable[[], object]) -> None:
        self._conninfo = conninfo
        self._freed = freed
        self._connection: AsyncConnection[DictRow] | None = None

    async def turn(self) -> float:
        """End what can end; return when to look again."""
        started = time.monotonic()
        connection = await self._connected()
        more = await self._cancel_broken(connection)
        ended = await self._end(connection)
        if more or ended == _ENDED_AT_ONCE:
            return 0
        return max(_EVERY_SECONDS, (time.monotonic() - started) / _BUSY_PART)

    async def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> AsyncConnection[DictRow]:
        if self._connection is None:
            self._connection = await AsyncConnection.connect(
                self._conninfo, autocommit=True, row_factory=dict_row, options=SESSION_OPTIONS
            )
        return self._connection

    async def _end(self, connection: AsyncConnection[DictRow]) -> int:
        async with connection.transaction():
            locked = await (await connection.execute(QUERIES["lock_ending"], {"limit": _ENDED_AT_ONCE})).fetchall()
            if not locked:
                return 0
            ids = [row["id"] for row in locked]
            ended = await (await connection.execute(QUERIES["end"], {"ids": ids})).fetchall()
            reach("relay.before_batch_end")
        reach("relay.batches_ended")
        for row in ended:
            log.info("batch_ended", batch_id=str(row["id"]), batch=row["name"], counts=row["counts"])
        if any(row["end_job_id"] for row in ended):
            self._freed()
        return len(locked)

    async def _cancel_broken(self, connection: AsyncConnection[DictRow]) -> bool:
        """Cancel some members of each batch that a failed member cancels; True when there are more."""
        broken = await (await connection.execute(QUERIES["broken"], {"limit": _ENDED_AT_ONCE})).fetchall()
        cancelled = [await self._cancel_some(connection, row["id"]) for row in broken]
        return any(count == _CANCELLED_AT_ONCE for count in cancelled)

    async def _cancel_some(self, connection: AsyncConnection[DictRow], batch_id: UUID) -> int:
        parameters = {"batch_id": batch_id, "after": None, "limit": _CANCELLED_AT_ONCE}
        rows = await (await connection.execute(QUERIES["cancel_members"], parameters)).fetchall()
        for row in rows:
            if row["state"] == "cancelled":
                metrics.jobs_finished.labels(row["kind"], "cancelled").inc()
        log.warning("batch_broken", batch_id=str(batch_id), jobs=len(rows), consequence="a member failed")
        return len(rows)
