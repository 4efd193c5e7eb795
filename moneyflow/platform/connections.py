"""Pooled connections: what one transaction left on its session in Postgres is discarded before another one uses it.

Settings, roles, temporary tables, session locks, LISTEN and prepared statements outlive a transaction. Nearly all
statements leave nothing, so each is looked at once by its text, and only a session that ran another is discarded.
"""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Self

from psycopg import Connection, Cursor, Error, ServerCursor
from psycopg.abc import Params, Query
from psycopg.copy import Writer
from psycopg.rows import DictRow
from psycopg_pool import ConnectionPool

from moneyflow.platform.patterns import IGNORE_CASE, Pattern

#: Seconds after its last use within which a pooled connection is not checked.
_TRUSTED_SECONDS = 0.2
#: Characters of a statement that is looked at; a longer one counts as one that leaves something.
_LONGEST_STATEMENT = 20_000

_BLANK = r"(?:\s|--[^\n]*+|/\*(?:[^*]|\*(?!/))*+\*/)*+"
#: Statements that leave nothing once their transaction has ended.
_PLAIN = Pattern(
    rf"\A{_BLANK}(?:select|insert|update|delete|merge|with|values|copy|notify|lock|savepoint|release|rollback\s++to"
    r"|set\s++(?:local|transaction|constraints))\b",
    longest=_LONGEST_STATEMENT,
    flags=IGNORE_CASE,
)
#: A setting that ends with its transaction.
_LOCAL_SETTING = Pattern(r"set_config\s*+\([^()]*,\s*+true\s*+\)", longest=_LONGEST_STATEMENT, flags=IGNORE_CASE)
#: What leaves something in a plain statement: a function, a temporary table, a second statement in the same text.
_LEAVES_STATE = Pattern(
    r"\b(?:set_(?:config|limit)|setseed|pg_(?:try_)?advisory_(?:lock|unlock)|dblink)"
    r"|\binto\s++(?:temp|temporary|\"?pg_temp\w*+)\b|\bu&\"|;\s*+\S",
    longest=_LONGEST_STATEMENT,
    flags=IGNORE_CASE,
)


def leaves_state(query: Query) -> bool:
    """Return whether a statement may leave something on its session that outlives its transaction."""
    return not isinstance(query, str) or len(query) > _LONGEST_STATEMENT or _leaves_state(query)


@lru_cache(maxsize=2048)
def _leaves_state(query: str) -> bool:
    return _PLAIN.search(query) is None or _LEAVES_STATE.search(_LOCAL_SETTING.sub("", query)) is not None


#: What DISCARD ALL does, but for the statements that psycopg has prepared and will use again; and a seed by the clock.
_DISCARD = """
close all; set session authorization default; reset role; reset all; unlisten *; discard temp; discard sequences;
do $$ declare name text; begin
    for name in select s.name from pg_prepared_statements s where from_sql loop
        execute format('deallocate %I', name);
    end loop;
end $$;
select pg_advisory_unlock_all(); select setseed(extract(microseconds from clock_timestamp()) / 60000000)
"""


class PooledConnection(Connection[DictRow]):
    """Pooled connection: records when it was last returned to the pool, and whether its session was changed."""

    #: By this process's monotonic clock.
    used_at: float = 0.0
    is_changed: bool = False
    _as_configured: tuple[object, ...] = ()

    def configured(self) -> None:
        """Remember how the connection was configured, once it is."""
        self.cursor_factory = _WatchedCursor
        self.server_cursor_factory = _WatchedServerCursor
        self._as_configured = self._configuration()

    def reset(self) -> None:
        """Discard what is left on the session, outside of a transaction; close the connection when that fails."""
        if self._configuration() != self._as_configured:
            self.close()  # A caller took it and changed it: the pool opens another.
        elif self.is_changed:
            self._discard()

    def _discard(self) -> None:
        try:
            self.autocommit = True  # The next session sets its own mode.
            self.execute(_DISCARD, prepare=False)
        except Error:
            self.close()
        self.is_changed = False

    def _configuration(self) -> tuple[object, ...]:
        return (
            self.isolation_level, self.read_only, self.deferrable, self.row_factory,
            self.prepare_threshold, self.cursor_factory, self.server_cursor_factory,
        )  # fmt: skip


class _WatchedCursor(Cursor[DictRow]):
    """Cursor that marks its connection when a statement may leave state; callers get it from a session too."""

    def execute(
        self, query: Query, params: Params | None = None, *, prepare: bool | None = None, binary: bool | None = None
    ) -> Self:
        """Run one statement."""
        self._watch(query)
        return super().execute(query, params, prepare=prepare, binary=binary)  # type: ignore[arg-type,misc]

    def executemany(self, query: Query, params_seq: Iterable[Params], *, returning: bool = False) -> None:
        """Run one statement for each of the parameters."""
        self._watch(query)
        super().executemany(query, params_seq, returning=returning)

    def stream(
        self, query: Query, params: Params | None = None, *, binary: bool | None = None, size: int = 1
    ) -> Iterator[DictRow]:
        """Run one statement and yield its rows as they come."""
        self._watch(query)
        return super().stream(query, params, binary=binary, size=size)

    def copy(self, statement: Query, params: Params | None = None, *, writer: Writer | None = None) -> Any:
        """Run COPY."""
        self._watch(statement)
        return super().copy(statement, params, writer=writer)

    def _watch(self, query: Query) -> None:
        if leaves_state(query):
            assert isinstance(self._conn, PooledConnection)
            self._conn.is_changed = True


class _WatchedServerCursor(ServerCursor[DictRow]):
    """Cursor of the server, which may be declared to outlive its transaction."""

    def __init__(self, connection: Connection[Any], name: str, **options: Any) -> None:
        super().__init__(connection, name, **options)
        assert isinstance(connection, PooledConnection)
        connection.is_changed = True


def check(connection: PooledConnection) -> None:
    """Raise when a connection broke while it was idle, as at a restart of Postgres; the pool then replaces it.

    PERF: a connection that was just in use is not checked, because the check takes as long as a statement.
    """
    if time.monotonic() - connection.used_at > _TRUSTED_SECONDS:
        ConnectionPool.check_connection(connection)
