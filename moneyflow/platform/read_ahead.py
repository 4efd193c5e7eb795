"""Read ahead: rows of a large result in pages; Postgres reads the next page while the caller works on this one."""

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

from psycopg.rows import tuple_row

from moneyflow.platform.connections import PooledConnection

_CURSOR = "read_ahead"


def pages(
    connection: PooledConnection, query: LiteralString, parameters: Mapping[str, Any] | None, *, rows: int
) -> Generator[list[tuple[Any, ...]], None, None]:
    """Run a statement by a cursor of the server, and yield its rows as tuples, `rows` at a time.

    Values are transferred in binary. Two pages are in memory at most.
    """
    reader = ThreadPoolExecutor(1, thread_name_prefix="read ahead")
    # The reader ends before the cursor is closed, whatever the caller does with the rest of the pages.
    with connection.cursor(_CURSOR, row_factory=tuple_row) as cursor, reader:
        cursor.execute(query, parameters, binary=True)
        page = reader.submit(cursor.fetchmany, rows)
        while found := page.result():
            page = reader.submit(cursor.fetchmany, rows)
            yield found
