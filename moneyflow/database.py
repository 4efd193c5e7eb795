"""Sessions and transactions on Postgres, and the SQL that stands in `.sql` files beside the code that runs it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, cast

import structlog
from psycopg import Connection, Cursor, InterfaceError, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from moneyflow.errors import PostgresDownError

log = structlog.get_logger(__name__)

#: Limits of every session: a statement, a wait for a lock, and a transaction that its process forgot.
STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 60

SESSION_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s -c timezone=UTC"
)

_NAMED_QUERY = re.compile(r"^-- name: (\w+)\n((?:-- [^\n]*\n)+)(.*?)(?=^-- name: |\Z)", re.MULTILINE | re.DOTALL)


def load_queries(path: Path) -> Mapping[str, LiteralString]:
    """Read the named queries of an `.sql` file: `-- name: x`, a line or more that says what it does, the statement."""
    text = path.read_text(encoding="utf-8")
    queries = {name: sql.strip().removesuffix(";") for name, _, sql in _NAMED_QUERY.findall(text)}
    if len(queries) != text.count("-- name:"):
        raise ValueError(f"{path.name}: every query needs a name of its own and a line that says what it does")
    return cast("Mapping[str, LiteralString]", queries)


class Session:
    """One transaction at most, on a connection that is taken from the pool when the first statement runs."""

    def __init__(self, pool: ConnectionPool[Connection[DictRow]], on_work: Callable[[], object]) -> None:
        self._pool = pool
        self._on_work = on_work
        self._connection: Connection[DictRow] | None = None
        self._touched = False
        self._after_commit: list[Callable[[], object]] = []

    def execute(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> Cursor[DictRow]:
        """Run one statement in the session's transaction."""
        return self._connected().execute(query, parameters)

    def execute_many(self, query: LiteralString, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row of parameters, all on their way at once."""
        with self._connected().cursor() as cursor:
            cursor.executemany(query, rows)

    def fetch_one(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> DictRow | None:
        """Run one statement and return its first row, if it has one."""
        return self.execute(query, parameters).fetchone()

    def fetch_all(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> list[DictRow]:
        """Run one statement and return its rows."""
        return self.execute(query, parameters).fetchall()

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call back once the transaction is committed; not at all when it is rolled back.

        A hint only: the process may die between the commit and the call.
        """
        if callback not in self._after_commit:
            self._after_commit.append(callback)

    def leave_work(self) -> None:
        """Note that this transaction leaves work for the relay: it is woken after the commit."""
        self.after_commit(self._on_work)

    @property
    def is_untouched(self) -> bool:
        """Say whether no statement has run since the last commit, so that nothing is there to be committed."""
        return not self._touched

    def commit(self) -> None:
        """Commit what was done so far; the next statement begins a new transaction."""
        callbacks, self._after_commit = self._after_commit, []
        if self._connection is not None:
            self._connection.commit()
        self._touched = False
        for callback in callbacks:
            _call(callback)

    def release(self) -> None:
        """Give the connection back without a commit, before a long call to the outside."""
        self._after_commit = []
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._pool.putconn(connection)  # The pool rolls back what is not committed.

    def _connected(self) -> Connection[DictRow]:
        if self._connection is None:
            try:
                self._connection = self._pool.getconn()
            except PoolTimeout as error:
                raise PostgresDownError("Postgres gives no connection; see whether it runs, and its log") from error
        self._touched = True
        return self._connection


class Database:
    """A pool of connections of one role.

    `on_work` is called after each commit that leaves work for the relay. It is a hint: the relay polls as well.
    `schema` is where names of tables without one are looked up, instead of `public`.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        timeout_seconds: float = 10,
        on_work: Callable[[], object] = lambda: None,
        schema: str | None = None,
    ) -> None:
        self._on_work = on_work
        self._pool: ConnectionPool[Connection[DictRow]] = ConnectionPool(
            conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=timeout_seconds,
            # A connection that broke while it lay in the pool, as at a restart of Postgres, is replaced before use.
            check=ConnectionPool.check_connection,
            kwargs={
                "row_factory": dict_row,
                "options": SESSION_OPTIONS + (f" -c search_path={schema}" if schema else ""),
            },
            open=False,
        )

    def open(self) -> None:
        """Begin to connect, in the background: a server that is down makes nobody wait here."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session; commit at the end of the block, roll back when it raises."""
        session = Session(self._pool, self._on_work)
        try:
            yield session
            session.commit()
        finally:
            session.release()

    def check(self) -> str | None:
        """Say what is wrong with Postgres, or None."""
        with self._pool.connection(timeout=2) as connection:
            connection.execute("select 1")
        return None


def is_outage(error: BaseException) -> bool:
    """Say whether an error means that Postgres is away, rather than that it refused what was asked.

    The classes of SQLSTATE that say so: 08 (connection), 57P (shutdown, crash, cannot connect now), 53300 (too many
    connections); an error of the connection itself has none at all.
    """
    if isinstance(error, PostgresDownError | InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    state = error.sqlstate
    return state is None or state.startswith(("08", "57P")) or state == "53300"


def is_passing(error: BaseException) -> bool:
    """Say whether the same statement may work in a moment: an outage, a deadlock, a lock that was not to be had."""
    return is_outage(error) or isinstance(error, OperationalError)


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        # The commit stands; what follows it is a hint, and whoever relied on it polls as well.
        log.exception("after_commit_failed", callback=repr(callback))
