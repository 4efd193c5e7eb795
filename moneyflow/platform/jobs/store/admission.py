"""Admission: a job under a limit gets a place before it is published. Only the leading relay admits, so none race."""

from collections.abc import Sequence
from pathlib import Path

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from moneyflow.platform.jobs.limits import Limit
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


async def admit(connection: AsyncConnection[DictRow], limits: Sequence[Limit], *, at_most: int) -> int:
    """Give the free places of each limit to jobs that wait for one; return the number of jobs that got a place."""
    rates = [limit.rate for limit in limits]
    parameters = {
        "names": [limit.name for limit in limits],
        "concurrency": [limit.concurrency for limit in limits],
        "per_key": [limit.concurrency_per_key for limit in limits],
        "rate_limits": [rate.limit if rate else None for rate in rates],
        "rate_seconds": [float(rate.per_seconds) if rate else None for rate in rates],
        "limit": at_most,
    }
    return (await connection.execute(QUERIES["admit"], parameters)).rowcount


async def places(connection: AsyncConnection[DictRow], limits: Sequence[Limit]) -> list[DictRow]:
    """Return `name`, and the `used` and `free` places of each limit; `free` is None for a limit of keys alone."""
    rates = [limit.rate for limit in limits]
    parameters = {
        "names": [limit.name for limit in limits],
        "concurrency": [limit.concurrency for limit in limits],
        "rate_limits": [rate.limit if rate else None for rate in rates],
        "rate_seconds": [float(rate.per_seconds) if rate else None for rate in rates],
    }
    return await (await connection.execute(QUERIES["places"], parameters)).fetchall()


async def longest_waits(connection: AsyncConnection[DictRow], *, seconds: float) -> list[DictRow]:
    """Return each limit, by `name`, a job of which has waited longer than this for a place, and the `seconds`."""
    return await (await connection.execute(QUERIES["longest_waits"], {"seconds": seconds})).fetchall()


async def unknown_limits(connection: AsyncConnection[DictRow], limits: Sequence[Limit]) -> list[str]:
    """Return the names of limits that jobs wait for and that are not among `limits`."""
    parameters = {"names": [limit.name for limit in limits]}
    cursor = await connection.execute(QUERIES["unknown_limits"], parameters)
    return [row["name"] for row in await cursor.fetchall()]


async def purge_starts(connection: AsyncConnection[DictRow], *, seconds: float) -> int:
    """Delete starts older than `seconds`, which no rate counts; return their number."""
    return (await connection.execute(QUERIES["purge_starts"], {"seconds": seconds})).rowcount
