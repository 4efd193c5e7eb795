"""What a crash left behind: jobs of a worker that is gone are taken back, messages that are lost are sent again."""

import time
from collections.abc import Mapping

import structlog
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.failpoints import reach
from moneyflow.gateways.rabbitmq import FAILED_QUEUE, JOBS_QUEUE
from moneyflow.ledger.relay import QUERIES
from moneyflow.telemetry import metrics
from workers.relay.depth import Depths
from workers.relay.warnings import Warnings

log = structlog.get_logger(__name__)

_TAKE_BACK_EVERY_SECONDS = 1.0
_COUNT_EVERY_SECONDS = 5.0
_SHOW_LIFE_EVERY_SECONDS = 1.0
_PROBE_EVERY_SECONDS = 0.5
#: A due job that has not begun for so long is starved: higher priorities take all there is, or nobody works.
STARVED_SECONDS = 300.0
#: After Postgres was away, workers need a moment to take their locks again.
_PRESENCE_GRACE_SECONDS = 6.0
#: A message is on its way for at most this long before it is missed.
_QUEUED_GRACE_SECONDS = 5.0
_TAKE_BACK_LIMIT = 1000
_PUBLISH_AGAIN_LIMIT = 50_000


class Reconciler:
    """Compares what Postgres says with what is there, and lets the usual path put it right."""

    def __init__(self, connection: AsyncConnection[DictRow], depths: Depths, warnings: Warnings) -> None:
        self._connection = connection
        self._depths = depths
        self._warnings = warnings
        self._leading_since = time.monotonic()
        self._missed_before = False

    async def turn(self) -> float:
        """Take back what is held by nobody; returns when to look again."""
        if time.monotonic() - self._leading_since > _PRESENCE_GRACE_SECONDS:
            await self._take_back()
        return _TAKE_BACK_EVERY_SECONDS

    async def look(self) -> float:
        """Compare Postgres with RabbitMQ, which may be slow to answer, and tell the metrics."""
        await self._count()
        await self._find_lost_messages()
        return _COUNT_EVERY_SECONDS

    async def choose_probes(self) -> float:
        """Let one job of each kind that paused itself try again, when it is time."""
        for row in await self._fetch("choose_probes"):
            log.info("probe_chosen", job=row["kind"], job_id=str(row["probe_job_id"]))
        return _PROBE_EVERY_SECONDS

    async def show_life(self) -> float:
        """Let the standbys see that this leader lives, whatever its other parts wait for."""
        await self._connection.execute("select 1")
        return _SHOW_LIFE_EVERY_SECONDS

    def forget(self) -> None:
        """Tell nothing any more: what the next leader counts is what counts."""
        for gauge in (
            metrics.jobs_in_state,
            metrics.job_oldest_due_seconds,
            metrics.outbox_unpublished,
            metrics.outbox_oldest_seconds,
        ):
            gauge.clear()

    async def _take_back(self) -> None:
        rows = await self._fetch("take_back", limit=_TAKE_BACK_LIMIT)
        if rows:
            reach("relay.taken_back")
            log.warning("jobs_taken_back", jobs=len(rows), first=str(rows[0]["id"]))

    async def _find_lost_messages(self) -> None:
        """Send again what should lie in RabbitMQ and does not, once two looks in a row agree."""
        depth = await self._depths.ready(JOBS_QUEUE)
        failed = await self._depths.ready(FAILED_QUEUE)
        if failed is not None:
            metrics.jobs_failed_messages.set(failed)
        (queued,) = await self._fetch("queued_before", grace_seconds=_QUEUED_GRACE_SECONDS)
        missing = depth is not None and queued["jobs"] > depth
        if missing and self._missed_before:
            reach("relay.missing_found")
            cursor = await self._connection.execute(
                QUERIES["publish_again"], {"newest": queued["newest"], "limit": _PUBLISH_AGAIN_LIMIT}
            )
            log.warning("messages_lost", in_postgres=queued["jobs"], in_rabbitmq=depth, sent_again=cursor.rowcount)
        self._missed_before = missing and not self._missed_before

    async def _count(self) -> None:
        states = {row["state"]: row["jobs"] for row in await self._fetch("jobs_in_state")}
        for state in ("scheduled", "queued", "running", "retrying"):
            metrics.jobs_in_state.labels(state).set(states.get(state, 0))
        oldest = {row["priority"]: row["seconds"] for row in await self._fetch("oldest_due")}
        for priority in range(11):
            metrics.job_oldest_due_seconds.labels(str(priority)).set(oldest.get(priority, 0))
        await self._warn_of_starved({p: seconds for p, seconds in oldest.items() if seconds > STARVED_SECONDS})
        for row in await self._fetch("outbox_age"):
            metrics.outbox_unpublished.labels(row["kind"]).set(row["rows"])
            metrics.outbox_oldest_seconds.labels(row["kind"]).set(row["seconds"])

    async def _warn_of_starved(self, starved: Mapping[int, float]) -> None:
        for priority, seconds in starved.items():
            message = (
                f"Jobs of priority {priority} have been due for {seconds:.0f} seconds and do not begin. "
                "Start more workers, or see what the higher priorities are busy with."
            )
            details = {"priority": priority, "seconds": round(seconds)}
            await self._warnings.warn("jobs_starved", message, subject=str(priority), details=details)

    async def _fetch(self, query: str, **parameters: object) -> list[DictRow]:
        return await (await self._connection.execute(QUERIES[query], parameters)).fetchall()
