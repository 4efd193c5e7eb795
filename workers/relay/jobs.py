"""Jobs that are due go to `jobs`, jobs that failed go to `jobs_failed`; what RabbitMQ confirmed is marked."""

import time
from collections.abc import Sequence
from uuid import UUID

import pika
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.clock import rfc3339
from moneyflow.errors import UnavailableError
from moneyflow.gateways.rabbitmq import DEAD_EXCHANGE, JOBS_EXCHANGE, JOBS_QUEUE
from moneyflow.ledger.relay import QUERIES
from workers.broker import FENCE_HEADER, encode
from workers.relay.published import tell_published
from workers.relay.publisher import Outgoing, Publisher

BATCH = 500
#: Whoever commits also wakes the relay; polling is the net below that.
_POLL_SECONDS = 0.5
_SHORTEST_PAUSE_SECONDS = 0.005
#: A job whose row somebody else had locked when it was to be marked is not published again before.
_HELD_UP_SECONDS = 1.0


class JobRelay:
    """Publishes what is due in `jobs` and what waits in `job_dead_letters`."""

    def __init__(self, connection: AsyncConnection[DictRow], publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher
        self._held_up: dict[UUID, float] = {}

    async def turn(self) -> float:
        """Publish one batch of each; return how long nothing will be due."""
        sent = await self._publish_due() + await self._publish_dead_letters()
        return 0 if sent else await self._until_due()

    async def _publish_due(self) -> int:
        now = time.monotonic()
        self._held_up = {job: until for job, until in self._held_up.items() if until > now}
        rows = [row for row in await self._rows("due_jobs") if row["id"] not in self._held_up]
        if not rows:
            return 0
        confirmed = await self._confirmed(rows, [job_message(row) for row in rows])
        cursor = await self._connection.execute(
            QUERIES["mark_published"],
            {"ids": [row["id"] for row in confirmed], "fences": [row["fence"] for row in confirmed]},
        )
        marked = {row["id"] for row in await cursor.fetchall()}
        self._held_up |= {row["id"]: now + _HELD_UP_SECONDS for row in confirmed if row["id"] not in marked}
        tell_published("job", [row["id"] for row in confirmed])
        return len(rows)

    async def _publish_dead_letters(self) -> int:
        rows = await self._rows("dead_letters")
        if not rows:
            return 0
        confirmed = await self._confirmed(rows, [dead_letter_message(row) for row in rows])
        await self._connection.execute(QUERIES["delete_dead_letters"], {"ids": [row["letter_id"] for row in confirmed]})
        tell_published("dead_letter", [row["id"] for row in confirmed])
        return len(rows)

    async def _rows(self, query: str) -> list[DictRow]:
        return await (await self._connection.execute(QUERIES[query], {"limit": BATCH})).fetchall()

    async def _confirmed(self, rows: Sequence[DictRow], messages: Sequence[Outgoing]) -> list[DictRow]:
        """Publish and return the rows that RabbitMQ has."""
        confirmed = [row for row, ok in zip(rows, await self._publisher.publish(messages), strict=True) if ok]
        if not confirmed:
            raise UnavailableError("RabbitMQ confirmed nothing of a batch; is the topology declared (`migrate`)?")
        return confirmed

    async def _until_due(self) -> float:
        row = await (await self._connection.execute(QUERIES["next_due_seconds"])).fetchone()
        seconds = row["seconds"] if row else None
        return _POLL_SECONDS if seconds is None else min(max(seconds, _SHORTEST_PAUSE_SECONDS), _POLL_SECONDS)


def job_message(row: DictRow) -> Outgoing:
    """Return the message that carries a job to the workers."""
    return Outgoing(exchange=JOBS_EXCHANGE, routing_key=JOBS_QUEUE, body=_body(row), properties=_properties(row))


def dead_letter_message(row: DictRow) -> Outgoing:
    """Return the message that tells operators why a job failed; moved to `jobs` as it is, it replays the job, once."""
    reason = {
        "x-error-class": row["error_class"],
        "x-error-message": row["error_message"],
        "x-error-traceback": row["error_traceback"] or "",
        "x-attempts": row["attempt"],
        "x-failed-at": rfc3339(row["ended_at"]),
        "x-worker": row["worker"],
        FENCE_HEADER: row["fence"],
    }
    return Outgoing(
        exchange=DEAD_EXCHANGE, routing_key=JOBS_QUEUE, body=_body(row), properties=_properties(row, **reason)
    )


def _body(row: DictRow) -> bytes:
    return encode(row["id"], row["kind"], timestamp_milliseconds=int(row["enqueued_at"].timestamp() * 1000))


def _properties(row: DictRow, **headers: object) -> pika.BasicProperties:
    trace = {"traceparent": row["traceparent"]} if row["traceparent"] else {}
    return pika.BasicProperties(
        message_id=str(row["id"]),
        content_type="application/json",
        delivery_mode=2,
        priority=row["priority"],
        timestamp=int(row["enqueued_at"].timestamp()),
        type=row["kind"],
        headers={**trace, **headers},
    )
