"""Filling: millions of finished, scheduled and failed jobs in a copy of the product's database, chunk by chunk."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import psycopg

from moneyflow.platform.queries import load_queries
from ops.dev.bench.jobs.plan import Rows
from ops.dev.bench.jobs.testbed import Testbed

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
#: Rows in one statement: large enough that its start costs nothing, small enough to log progress.
_CHUNK_ROWS = 50_000
#: Progress is logged at each of these parts of a state's rows.
_LOGGED_PARTS = 10
#: PERF: the rows refer to one another by construction, so no foreign key is checked; and a lost chunk ends the run.
_OPTIONS = "-c session_replication_role=replica -c synchronous_commit=off"


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """Split the numbers from 1 to `rows` into chunks: the first and the last number of each."""
    for first in range(1, rows + 1, size):
        yield first, min(first + size - 1, rows)


def is_milestone(last: int, *, rows: int, size: int) -> bool:
    """Return whether the chunk that ends with `last` is the first to reach another tenth of the rows."""
    return last * _LOGGED_PARTS // rows > max(last - size, 0) * _LOGGED_PARTS // rows


def fill(testbed: Testbed, database: str, rows: Rows, log: Callable[[str], None]) -> None:
    """Copy the product's empty database, fill the copy, and have Postgres vacuum and analyze it."""
    testbed.copy_database(database)
    conninfo = testbed.superuser_conninfo(database)
    with psycopg.connect(conninfo, autocommit=True, options=_OPTIONS) as connection:
        for state, number in asdict(rows).items():
            for first, last in chunks(number, _CHUNK_ROWS):
                connection.execute(_QUERIES[state], {"first": first, "last": last, "rows": number})
                if is_milestone(last, rows=number, size=_CHUNK_ROWS):
                    log(f"  {state}: {last:,} of {number:,} jobs")
        log("  vacuum analyze")
        connection.execute("vacuum analyze jobs, job_attempts")
        connection.execute("checkpoint")  # Its writes are not a part of any measurement.
