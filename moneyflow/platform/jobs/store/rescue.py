"""Rescue: make jobs of dead or frozen workers due again, and publish jobs again whose message RabbitMQ lost."""

from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


async def rescue(connection: AsyncConnection[DictRow], *, limit: int) -> list[UUID]:
    """Rescue up to `limit` jobs whose worker is dead or whose lease expired, and return their ids."""
    cursor = await connection.execute(QUERIES["rescue"], {"limit": limit})
    return [row["id"] for row in await cursor.fetchall()]


async def queued_before(connection: AsyncConnection[DictRow], *, grace_seconds: float) -> tuple[int, datetime | None]:
    """Return the number of jobs `queued` for longer than `grace_seconds`, and their newest publication."""
    cursor = await connection.execute(QUERIES["queued_before"], {"grace_seconds": grace_seconds})
    row = await cursor.fetchone()
    assert row is not None, "an aggregate returns a row"
    return row["jobs"], row["newest"]


async def publish_again(connection: AsyncConnection[DictRow], *, newest: datetime | None, limit: int) -> int:
    """Make up to `limit` jobs that were published up to `newest` publishable again; return their number."""
    cursor = await connection.execute(QUERIES["publish_again"], {"newest": newest, "limit": limit})
    return cursor.rowcount
