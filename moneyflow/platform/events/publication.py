"""Publication of events: reads the outbox in the order of its keys, and deletes confirmed rows."""

from collections.abc import Collection, Sequence
from pathlib import Path

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.queries import array, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


async def unpublished(
    connection: AsyncConnection[DictRow], *, refused: Collection[str], limit: int, most_bytes: int
) -> list[DictRow]:
    """Return the next events, without those of the topics in `refused`.

    They are `limit` events at most, and no more after `most_bytes` of values.
    """
    parameters = {"limit": limit, "most_bytes": most_bytes, "refused": list(refused)}
    # PERF: in binary, values take half of the bytes.
    return await (await connection.execute(QUERIES["unpublished"], parameters, binary=True)).fetchall()


async def delete(connection: AsyncConnection[DictRow], sequences: Sequence[int]) -> None:
    """Delete the events that Kafka confirmed."""
    await connection.execute(QUERIES["delete_events"], {"sequences": array(sequences)})


async def age(connection: AsyncConnection[DictRow]) -> tuple[int, float]:
    """Return how many events wait, and the seconds that the oldest has waited (0 when none does)."""
    row = await (await connection.execute(QUERIES["age"])).fetchone()
    assert row is not None, "an aggregate returns a row"
    return row["rows"], row["seconds"]
