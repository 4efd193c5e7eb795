"""Jobs that are due go to `jobs`, jobs that failed go to `jobs_failed`; what RabbitMQ confirmed is marked."""

import time
from collections.abc import Sequence
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.brokers.job_message import Outgoing, dead_letter_message, job_message
from moneyflow.platform.errors import UnavailableError
from moneyflow.platform.failpoints import reach
from moneyflow.platform.jobs.store import publication
from workers.relay.published import tell_published
from workers.relay.publisher import Publisher

BATCH = 500
#: Whoever commits also wakes the relay; polling is the net below that.
_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 0.005
#: So long workers have to take what was committed by its id: what is published as well comes to them a second time.
NAMES_FIRST_SECONDS = 0.05
#: So long an idle worker has to take a job before its row is marked: at one moment, they would be in each other's way.
_WORKERS_FIRST_SECONDS = 0.005
#: A job whose row somebody else had locked when it was to be marked is not published again before.
_HELD_UP_SECONDS = 1.0


class JobRelay:
    """Publishes what is due in `jobs` and what waits in `job_dead_letters`."""

    def __init__(self, connection: AsyncConnection[DictRow], publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher
        #: By id and fence, so that a job that was claimed meanwhile and is to be tried again is not meant.
        self._held_up: dict[tuple[UUID, int], float] = {}
        #: RabbitMQ has confirmed these, and no row says so yet.
        self._unmarked: list[DictRow] = []

    async def turn(self) -> float:
        """Mark what was published before, publish one batch of each; return how long nothing will be due."""
        await self._mark()
        published, letters = await self._publish_due(), await self._publish_dead_letters()
        if published == BATCH or letters:
            return 0
        return _WORKERS_FIRST_SECONDS if published else await self._until_due()

    async def _publish_due(self) -> int:
        now = time.monotonic()
        self._held_up = {key: until for key, until in self._held_up.items() if until > now}
        due = await publication.due(self._connection, limit=BATCH)
        rows = [row for row in due if _key(row) not in self._held_up]
        if not rows:
            return 0
        reach("relay.before_publish")
        self._unmarked = await self._confirmed(rows, [job_message(row) for row in rows])
        reach("relay.confirmed")
        return len(rows)

    async def _mark(self) -> None:
        """Keep that RabbitMQ has them. Until then they may be published once more, which is harmless."""
        confirmed, self._unmarked = self._unmarked, []
        if not confirmed:
            return
        marked = await publication.mark_published(self._connection, confirmed)
        reach("relay.marked")
        until = time.monotonic() + _HELD_UP_SECONDS
        self._held_up |= {_key(row): until for row in confirmed if row["id"] not in marked}
        tell_published("job", [row["id"] for row in confirmed])

    async def _publish_dead_letters(self) -> int:
        rows = await publication.dead_letters(self._connection, limit=BATCH)
        if not rows:
            return 0
        current = [row for row in rows if row["is_current"]]
        confirmed = await self._confirmed(current, [dead_letter_message(row) for row in current]) if current else []
        reach("relay.letters_confirmed")
        over = [row for row in rows if not row["is_current"]]  # As when RabbitMQ was away while operators replayed.
        settled = [row["letter_id"] for row in (*confirmed, *over)]
        await publication.delete_dead_letters(self._connection, settled)
        reach("relay.letters_deleted")
        tell_published("dead_letter", [row["id"] for row in confirmed])
        return len(rows)

    async def _confirmed(self, rows: Sequence[DictRow], messages: Sequence[Outgoing]) -> list[DictRow]:
        """Publish and return the rows that RabbitMQ has."""
        confirmed = [row for row, ok in zip(rows, await self._publisher.publish(messages), strict=True) if ok]
        if not confirmed:
            raise UnavailableError("RabbitMQ confirmed nothing of a batch; is the topology declared (`migrate`)?")
        return confirmed

    async def _until_due(self) -> float:
        seconds = await publication.seconds_until_due(self._connection)
        return _POLL_SECONDS if seconds is None else min(max(seconds, _SHORTEST_PAUSE_SECONDS), _POLL_SECONDS)


def _key(row: DictRow) -> tuple[UUID, int]:
    return row["id"], row["fence"]
