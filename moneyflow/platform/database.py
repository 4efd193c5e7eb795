"""Sessions and transactions on Postgres, and the SQL that stands in `.sql` files beside the code that runs it."""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, LiteralString, Self, cast
from uuid import UUID

import structlog
from psycopg import Connection, Cursor, Error, InterfaceError, OperationalError
from psycopg.errors import InFailedSqlTransaction
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.failpoints import declare, reach

log = structlog.get_logger(__name__)

_BEFORE_COMMIT = declare("session.before_commit")
_AFTER_COMMIT = declare("session.after_commit")

#: Limits of every session: a statement, a wait for a lock, and a transaction that its process forgot.
STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 60

#: A connection that was in use within so long is not asked whether it still works.
_TRUSTED_SECONDS = 0.2

SESSION_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s -c timezone=UTC"
)

#: PERF: half of the time of a small statement is its planning, and with arrays Postgres would plan it anew each time.
#: A plan that is kept must suit a table that has grown since: by its keys, whatever was cheaper while it was empty.
BY_KEYS = (
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off "
    "-c jit=off"
)

_BLOCK = re.compile(
    r"^-- (name|fragment): (\w+)\n((?:-- [^\n]*\n)+)(.*?)(?=^-- (?:name|fragment): |\Z)", re.MULTILINE | re.DOTALL
)
_FRAGMENT = re.compile(r"<<(\w+)>>")


def load_queries(path: Path, *, fragments: Path | None = None) -> Mapping[str, LiteralString]:
    """Read the named queries of an `.sql` file: `-- name: x`, a line or more that says what it does, the statement.

    `fragments` is a file of `-- fragment: y` blocks, what several statements share; `<<y>>` stands for one.

    Raises:
        ValueError: a query has no name or description, a name comes twice, or a fragment is not in the file.
    """
    shared = _blocks(fragments, "fragment") if fragments else {}
    queries = {name: _expand(path, sql, shared).removesuffix(";") for name, sql in _blocks(path, "name").items()}
    return cast("Mapping[str, LiteralString]", queries)


def _blocks(path: Path, kind: str) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    blocks = {name: sql.strip() for found, name, _, sql in _BLOCK.findall(text) if found == kind}
    if len(blocks) != len(re.findall(r"-- (?:name|fragment):", text)):
        raise ValueError(f"{path.name}: every query needs a name of its own and a line that says what it does")
    return blocks


def _expand(path: Path, sql: str, fragments: Mapping[str, str]) -> str:
    def fragment(found: re.Match[str]) -> str:
        if found[1] not in fragments:
            raise ValueError(f"{path.name}: there is no fragment {found[1]}; there are {', '.join(sorted(fragments))}")
        return _expand(path, fragments[found[1]], fragments)

    return _FRAGMENT.sub(fragment, sql)


def array(values: Iterable[UUID | int]) -> str:
    """Write an array as Postgres reads it. PERF: psycopg writes one element by element, in five times the time."""
    return "{" + ",".join(map(str, values)) + "}"


#: What a transaction leaves to be done: something for the relay to do in jobs or in events, or jobs that are ready.
Work = Literal["jobs", "events", "ready"]
#: Called with all of that, and with the jobs that are ready, each with its priority.
OnWork = Callable[[Collection[Work], Sequence[tuple[int, UUID]]], object]


class _PooledConnection(Connection[DictRow]):
    """A connection that keeps when it was last returned to the pool, by this process's monotonic clock."""

    used_at: float = 0.0


def _check(connection: Connection[DictRow]) -> None:
    """Let the pool replace a connection that broke while it was idle, as at a restart of Postgres.

    PERF: one that was in use a moment ago is not checked, because the check takes as long as a statement.
    """
    assert isinstance(connection, _PooledConnection)
    if time.monotonic() - connection.used_at > _TRUSTED_SECONDS:
        ConnectionPool.check_connection(connection)


class Session:
    """One transaction at most, on a connection that is taken from the pool when the first statement runs."""

    def __init__(self, pool: ConnectionPool[_PooledConnection], on_work: OnWork, *, autocommit: bool = False) -> None:
        self._pool = pool
        self._autocommit = autocommit
        self._on_work = on_work
        self._connection: _PooledConnection | None = None
        self._touched = False
        self._after_commit: list[Callable[[], object]] = []
        self._work: set[Work] = set()
        self._ready: list[tuple[int, UUID]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit at the end of the block, roll back when it raises; then give the connection back."""
        try:
            if error is None:
                self.commit()
        finally:
            self.release()

    def execute(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> Cursor[DictRow]:
        """Run one statement in the session's transaction."""
        return self._connected().execute(query, parameters)

    def count_rows(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run one statement in the session's transaction and return how many rows it wrote."""
        return self._connected().execute(query, parameters).rowcount

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
        self._after_commit.append(callback)

    def leave_work(self, work: Work = "jobs") -> None:
        """Note that this transaction leaves work for the relay: it is woken after the commit."""
        self._work.add(work)

    def leave_ready(self, jobs: Iterable[tuple[int, UUID]]) -> None:
        """Note jobs, each with its priority, that an idle worker may take as soon as they are committed."""
        self._ready.extend(jobs)
        self._work.add("ready")

    @property
    def is_untouched(self) -> bool:
        """Say whether no statement has run since the last commit, so that nothing is there to be committed."""
        return not self._touched

    def commit(self) -> None:
        """Commit what was done so far; the next statement begins a new transaction."""
        callbacks, self._after_commit = self._after_commit, []
        if self._work:
            # Before what others may take long for.
            callbacks.insert(0, partial(self._on_work, self._work, self._ready))
            self._work, self._ready = set(), []
        if self._connection is not None:
            if self._connection.pgconn.transaction_status == TransactionStatus.INERROR:
                # Postgres would answer to COMMIT that all is well, and roll back.
                raise InFailedSqlTransaction("a statement failed before: nothing can be committed any more")
            reach(_BEFORE_COMMIT)
            self._connection.commit()
            reach(_AFTER_COMMIT)
        self._touched = False
        for callback in callbacks:
            _call(callback)

    def release(self) -> None:
        """Give the connection back without a commit, before a long call to the outside."""
        self._after_commit, self._work, self._ready = [], set(), []
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.used_at = time.monotonic()
            if connection.pgconn.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                with suppress(Error):
                    connection.rollback()  # The pool would do it too, and warn of it.
            if self._autocommit and connection.pgconn.transaction_status == TransactionStatus.IDLE:
                connection.autocommit = False
            elif self._autocommit:
                connection.close()  # It broke: the pool makes another.
            self._pool.putconn(connection)

    def _connected(self) -> _PooledConnection:
        if self._connection is None:
            try:
                self._connection = self._pool.getconn()
            except PoolTimeout as error:
                raise PostgresDownError("Postgres gives no connection; see whether it runs, and its log") from error
            if self._autocommit:
                self._connection.autocommit = True
        self._touched = True
        return self._connection


class Database:
    """A pool of connections of one role.

    `on_work` is called after each commit that leaves work. It is a hint: the relay polls as well.
    `schema` is where names of tables without one are looked up, instead of `public`. With `by_keys` Postgres
    plans each statement once, for access by keys: right where all statements go by them.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        timeout_seconds: float = 10,
        on_work: OnWork = lambda *_: None,
        schema: str | None = None,
        by_keys: bool = False,
    ) -> None:
        self._on_work = on_work
        options = SESSION_OPTIONS + (f" -c search_path={schema}" if schema else "")
        self._pool: ConnectionPool[_PooledConnection] = ConnectionPool(
            conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=timeout_seconds,
            connection_class=_PooledConnection,
            check=_check,
            kwargs={
                "row_factory": dict_row,
                "options": options + (f" {BY_KEYS}" if by_keys else ""),
            },
            open=False,
        )

    def open(self) -> None:
        """Begin to connect, in the background: a server that is down makes nobody wait here."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def transaction(self) -> Session:
        """Return a session for a `with` block: committed at its end, rolled back when it raises."""
        return self._session()

    def autocommit(self) -> Session:
        """Return a session whose every statement is a transaction of its own: one round trip and not three."""
        return self._session(autocommit=True)

    def _session(self, *, autocommit: bool = False) -> Session:
        return Session(self._pool, self._on_work, autocommit=autocommit)

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
