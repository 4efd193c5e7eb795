"""Job relay: publishes due jobs to `jobs` and dead letters to `jobs_failed`, and marks what RabbitMQ confirmed."""

import time
from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform import failpoints
from moneyflow.platform.brokers.job_message import Outgoing, dead_letter_message, job_message
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.jobs.store import publication
from workers.relay.published import record_published
from workers.relay.publisher import Publisher

_BEFORE_PUBLISH = failpoints.declare("relay.before_publish")
_CONFIRMED = failpoints.declare("relay.confirmed")
_MARKED = failpoints.declare("relay.marked")
_LETTERS_CONFIRMED = failpoints.declare("relay.letters_confirmed")
_LETTERS_DELETED = failpoints.declare("relay.letters_deleted")

BATCH = 500
#: Seconds between two polls; a commit wakes the relay as well, by Redis.
_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 0.005
#: Seconds that workers have to take a committed job by its id: published as well, it would reach them twice.
READY_LIST_FIRST_SECONDS = 0.05
#: Seconds that an idle worker has to claim a published job before its row is marked: the mark locks the row.
_WORKERS_FIRST_SECONDS = 0.005
#: Seconds until a job is published again whose row was locked when it was to be marked.
_DELAYED_SECONDS = 1.0


class JobRelay:
    """Publishes what is due in `jobs` and what waits in `job_dead_letters`."""

    def __init__(self, connection: AsyncConnection[DictRow], publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher
        #: By id and fence: a job that was claimed since, and is due for its next attempt, is not delayed.
        self._delayed: dict[tuple[UUID, int], float] = {}
        #: Confirmed by RabbitMQ, and not marked yet.
        self._unmarked: list[DictRow] = []

    async def run_once(self) -> float:
        """Mark the last batch, publish the next of each; return the seconds to wait before the next look."""
        await self._mark()
        published, letters = await self._publish_due(), await self._publish_dead_letters()
        if published == BATCH or letters:
            return 0
        return _WORKERS_FIRST_SECONDS if published else await self._until_due()

    async def _publish_due(self) -> int:
        now = time.monotonic()
        self._delayed = {key: until for key, until in self._delayed.items() if until > now}
        due = await publication.due(self._connection, limit=BATCH)
        rows = [row for row in due if _key(row) not in self._delayed]
        if not rows:
            return 0
        failpoints.reach(_BEFORE_PUBLISH)
        self._unmarked = await self._confirmed(rows, [job_message(row) for row in rows])
        failpoints.reach(_CONFIRMED)
        return len(rows)

    async def _mark(self) -> None:
        """Mark the confirmed jobs as queued. Until then they may be published again, which is harmless."""
        confirmed, self._unmarked = self._unmarked, []
        if not confirmed:
            return
        marked = await publication.mark_published(self._connection, confirmed)
        failpoints.reach(_MARKED)
        until = time.monotonic() + _DELAYED_SECONDS
        self._delayed |= {_key(row): until for row in confirmed if row["id"] not in marked}
        record_published("job", [row["id"] for row in confirmed])

    async def _publish_dead_letters(self) -> int:
        rows = await publication.dead_letters(self._connection, limit=BATCH)
        if not rows:
            return 0
        current = [row for row in rows if row["is_current"]]
        confirmed = await self._confirmed(current, [dead_letter_message(row) for row in current]) if current else []
        failpoints.reach(_LETTERS_CONFIRMED)
        stale = [row for row in rows if not row["is_current"]]  # As when RabbitMQ was down while operators replayed.
        settled = [row["dead_letter_id"] for row in (*confirmed, *stale)]
        await publication.delete_dead_letters(self._connection, settled)
        failpoints.reach(_LETTERS_DELETED)
        record_published("dead_letter", [row["id"] for row in confirmed])
        return len(rows)

    async def _confirmed(self, rows: Sequence[DictRow], messages: Sequence[Outgoing]) -> list[DictRow]:
        """Publish, and return the rows that RabbitMQ confirmed."""
        confirmed = [row for row, ok in zip(rows, await self._publisher.publish(messages), strict=True) if ok]
        if not confirmed:
            raise UnavailableError("RabbitMQ confirmed nothing of a batch; is the topology declared (`migrate`)?")
        return confirmed

    async def _until_due(self) -> float:
        seconds = await publication.seconds_until_due(self._connection)
        return _POLL_SECONDS if seconds is None else min(max(seconds, _SHORTEST_PAUSE_SECONDS), _POLL_SECONDS)


def _key(row: DictRow) -> tuple[UUID, int]:
    return row["id"], row["fence"]
