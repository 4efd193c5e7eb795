"""Leader election: the relay that holds an advisory lock leads, on the connection that marks what it published."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from moneyflow.platform.database import BY_KEYS, SESSION_OPTIONS
from workers.relay import metrics

log = structlog.get_logger(__name__)

LOCK_KEY = 19783
_STANDBY_POLL_SECONDS = 0.5
_BEAT_SECONDS = 1.0
#: Seconds without a statement after which a leader counts as frozen; ten missed beats.
_FROZEN_SECONDS = 10

_TRY_LOCK = "select pg_try_advisory_lock(%(key)s) as held"
_END_FROZEN_LEADER = """
select pg_terminate_backend(pid) from pg_stat_activity
where usename = current_user and state = 'idle'
  and state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
  and pid in (select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
              and classid = 0 and objid = %(key)s
              and database = (select oid from pg_database where datname = current_database()))
"""


@asynccontextmanager
async def leadership(
    conninfo: str, *, on_poll: Callable[[], None], frozen_seconds: float = _FROZEN_SECONDS
) -> AsyncIterator[AsyncConnection[DictRow]]:
    """Wait until this process is the leader, and yield the connection that holds the lock.

    A killed leader's connection ends with it, so a standby leads within half a second; a frozen leader's is terminated
    by a standby. Either way the old leader can no longer mark what it publishes. `on_poll` is called on each poll of a
    standby, which shows that it moves.
    """
    connection = await AsyncConnection.connect(
        conninfo, autocommit=True, row_factory=dict_row, options=f"{SESSION_OPTIONS} {BY_KEYS}"
    )
    try:
        waiting = False
        while not await _is_leader(connection, frozen_seconds):
            if not waiting:
                log.info("relay_standing_by")
                waiting = True
            on_poll()
            await asyncio.sleep(_STANDBY_POLL_SECONDS)
        log.info("relay_elected")
        metrics.relay_leader.set(1)
        yield connection
    finally:
        metrics.relay_leader.set(0)
        await connection.close()


async def beat(connection: AsyncConnection[DictRow]) -> float:
    """Show the standbys that this leader moves, whatever its parts wait for; return the seconds until the next beat."""
    await connection.execute("select 1")
    return _BEAT_SECONDS


async def _is_leader(connection: AsyncConnection[DictRow], frozen_seconds: float) -> bool:
    row = await (await connection.execute(_TRY_LOCK, {"key": LOCK_KEY})).fetchone()
    if row and row["held"]:
        return True
    await connection.execute(_END_FROZEN_LEADER, {"key": LOCK_KEY, "seconds": frozen_seconds})
    return False
