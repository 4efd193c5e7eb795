"""Rescuer: jobs of dead or frozen workers are released, and messages that RabbitMQ lost are published again."""

import time

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform import failpoints
from moneyflow.platform.brokers.rabbitmq import JOBS_QUEUE
from moneyflow.platform.jobs.store import rescue
from workers.relay.queue_depth import QueueDepths

log = structlog.get_logger(__name__)

_RESCUED = failpoints.declare("relay.rescued")
_MISSING_FOUND = failpoints.declare("relay.missing_found")

#: Seconds between two rescues; a killed worker's job waits at most this much longer for another worker.
_RESCUE_POLL_SECONDS = 1.0
#: Seconds between two comparisons of Postgres with RabbitMQ.
_COMPARE_POLL_SECONDS = 5.0
#: Seconds that workers have to take their locks again after this relay became the leader: Postgres may have restarted.
_LOCK_GRACE_SECONDS = 6.0
#: Seconds that a message may be on its way before it counts as missing.
_QUEUED_GRACE_SECONDS = 5.0
_RESCUED_AT_ONCE = 1000
_PUBLISHED_AGAIN_AT_ONCE = 50_000


class Rescuer:
    """Releases jobs that no live worker holds; the usual way runs them again."""

    def __init__(
        self, connection: AsyncConnection[DictRow], *, lock_grace_seconds: float = _LOCK_GRACE_SECONDS
    ) -> None:
        self._connection = connection
        self._lock_grace_seconds = lock_grace_seconds
        self._leading_since = time.monotonic()

    async def run_once(self) -> float:
        """Rescue what is due for it; return the seconds to wait before the next look."""
        if time.monotonic() - self._leading_since > self._lock_grace_seconds:
            rescued = await rescue.rescue(self._connection, limit=_RESCUED_AT_ONCE)
            if rescued:
                failpoints.reach(_RESCUED)
                log.warning("jobs_rescued", jobs=len(rescued), first=str(rescued[0]))
        return _RESCUE_POLL_SECONDS


class LostMessageCheck:
    """Compares the `queued` rows with the messages in RabbitMQ, and publishes again once two looks in a row agree."""

    def __init__(
        self,
        connection: AsyncConnection[DictRow],
        depths: QueueDepths,
        *,
        poll_seconds: float = _COMPARE_POLL_SECONDS,
        grace_seconds: float = _QUEUED_GRACE_SECONDS,
    ) -> None:
        self._connection = connection
        self._depths = depths
        self._poll_seconds = poll_seconds
        self._grace_seconds = grace_seconds
        self._was_missing = False

    async def run_once(self) -> float:
        """Compare once; return the seconds to wait before the next comparison."""
        depth = await self._depths.ready(JOBS_QUEUE)
        queued, newest = await rescue.queued_before(self._connection, grace_seconds=self._grace_seconds)
        is_missing = depth is not None and queued > depth
        if is_missing and self._was_missing:
            failpoints.reach(_MISSING_FOUND)
            count = await rescue.publish_again(self._connection, newest=newest, limit=_PUBLISHED_AGAIN_AT_ONCE)
            log.warning("messages_lost", in_postgres=queued, in_rabbitmq=depth, published_again=count)
        self._was_missing = is_missing and not self._was_missing
        return self._poll_seconds
