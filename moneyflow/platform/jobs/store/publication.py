"""Publication: which jobs and dead letters the relay publishes next, and their marks once RabbitMQ confirmed them."""

from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import array, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


async def due(connection: AsyncConnection[DictRow], *, limit: int) -> list[DictRow]:
    """Return up to `limit` jobs that are due, the highest priority first; of a paused kind only its probe."""
    return await (await connection.execute(QUERIES["due_jobs"], {"limit": limit})).fetchall()


async def seconds_until_due(connection: AsyncConnection[DictRow]) -> float | None:
    """Return the seconds until the next job is due, below 0 when one is overdue; None when no job waits."""
    row = await (await connection.execute(QUERIES["next_due_seconds"])).fetchone()
    assert row is not None, "an aggregate returns a row"
    seconds: float | None = row["seconds"]
    return seconds


async def mark_published(connection: AsyncConnection[DictRow], jobs: Collection[DictRow]) -> set[UUID]:
    """Mark jobs that RabbitMQ confirmed as `queued`; return the ids of those that were neither locked nor claimed."""
    parameters = {"ids": array(job["id"] for job in jobs), "fences": array(job["fence"] for job in jobs)}
    cursor = await connection.execute(QUERIES["mark_published"], parameters)
    return {row["id"] for row in await cursor.fetchall()}


async def dead_letters(connection: AsyncConnection[DictRow], *, limit: int) -> list[DictRow]:
    """Return dead letters to publish on `jobs_failed`; `is_current` is false when the job was replayed or discarded."""
    return await (await connection.execute(QUERIES["dead_letters"], {"limit": limit})).fetchall()


async def delete_dead_letters(connection: AsyncConnection[DictRow], ids: Sequence[int]) -> None:
    """Delete dead letters that RabbitMQ confirmed or that are stale."""
    await connection.execute(QUERIES["delete_dead_letters"], {"ids": ids})
