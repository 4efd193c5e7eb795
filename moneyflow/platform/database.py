"""Database sessions: transactions on Postgres over a pool of connections, and the notifications after a commit."""

import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, LiteralString, Self
from uuid import UUID

import structlog
from psycopg import Cursor, Error, InterfaceError, OperationalError
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InFailedSqlTransaction
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from moneyflow.platform import loaders
from moneyflow.platform.connections import PooledConnection, check
from moneyflow.platform.errors import PostgresDownError
from moneyflow.platform.failpoints import declare, reach
from moneyflow.platform.read_ahead import pages
from moneyflow.platform.settings import host_port

log = structlog.get_logger(__name__)

loaders.install()

_BEFORE_COMMIT = declare("session.before_commit")
_AFTER_COMMIT = declare("session.after_commit")

#: Seconds that a statement, a wait for a lock, and an idle transaction may take; then Postgres ends them.
STATEMENT_TIMEOUT_SECONDS = 30
LOCK_TIMEOUT_SECONDS = 10
IDLE_IN_TRANSACTION_TIMEOUT_SECONDS = 60

#: Seconds after which a pool gives up an attempt to reconnect, and the next session begins a new one. The pool waits
#: twice as long after each failure of one attempt: after a long outage a process would refuse work for minutes more.
_RECONNECT_SECONDS = 2.0

#: PostgreSQL's port where a connection string names none.
_USUAL_PORT = 5432

SESSION_OPTIONS = (
    f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_SECONDS}s -c timezone=UTC"
)

#: PERF: planning takes half of the time of a small statement, and Postgres would plan one with arrays every time.
#: A cached plan must suit a table that has grown since, so it goes by keys, even where a scan was cheaper at first.
BY_KEYS = (
    "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off "
    "-c jit=off"
)

_SET_LOCALLY: LiteralString = (
    "select set_config(name, text, true) from unnest(%(names)s::text[], %(texts)s::text[]) as given (name, text)"
)

#: What a commit notifies of: jobs or events that the relay has to publish, or jobs that idle workers can claim now.
Notification = Literal["jobs", "events", "ready"]
#: Sends the notifications of one commit, and the ids of the jobs that are ready, each with its priority.
Notify = Callable[[Collection[Notification], Sequence[tuple[int, UUID]]], object]


def server_of(conninfo: str) -> str:
    """Return the address of the server that a connection string names, as host:port."""
    parts = conninfo_to_dict(conninfo)
    return host_port(str(parts.get("host", "localhost")), int(parts.get("port") or _USUAL_PORT))


@dataclass
class Savepoint:
    """A part of a transaction, which is rolled back at its end unless it is kept."""

    is_kept: bool = False

    def keep(self) -> None:
        """Keep what the part has written; it commits with the transaction."""
        self.is_kept = True


class Session:
    """Session: one transaction at a time, on a connection that the first statement takes from the pool."""

    def __init__(self, pool: ConnectionPool[PooledConnection], notify: Notify, *, autocommit: bool = False) -> None:
        self._pool = pool
        self._autocommit = autocommit
        self._notify = notify
        self._connection: PooledConnection | None = None
        self._touched = False
        self._is_ended = False
        self._savepoints = 0
        self._after_commit: list[Callable[[], object]] = []
        self._notifications: set[Notification] = set()
        self._ready: list[tuple[int, UUID]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Commit at the end of the block, roll back when it raises; then release the connection."""
        try:
            if error is None:
                self.commit()
        finally:
            self.release()
            self._is_ended = True

    def execute(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> Cursor[DictRow]:
        """Run one statement in the session's transaction."""
        return self._connected().execute(query, parameters)

    def count_rows(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run one statement in the session's transaction and return how many rows it wrote."""
        return self._connected().execute(query, parameters).rowcount

    def execute_many(self, query: LiteralString, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row of parameters, in pipeline mode."""
        with self._connected().cursor() as cursor:
            cursor.executemany(query, rows)

    def copy(self, query: LiteralString, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement `copy … from stdin (format binary)` with rows of these types.

        Postgres writes the first rows while the last ones are still being made.
        """
        with self._connected().cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def fetch_one(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> DictRow | None:
        """Run one statement and return its first row, or None."""
        return self.execute(query, parameters).fetchone()

    def fetch_all(
        self,
        query: LiteralString,
        parameters: Mapping[str, Any] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> list[DictRow]:
        """Run one statement and return its rows.

        `settings` are Postgres's own, such as `statement_timeout`. They hold until the transaction ends, in autocommit
        mode for this statement alone, and are set in the same round trip.
        """
        if not settings:
            return self.execute(query, parameters).fetchall()
        connection = self._connected()
        with connection.pipeline():
            connection.execute(_SET_LOCALLY, {"names": list(settings), "texts": list(settings.values())})
            cursor = connection.execute(query, parameters)
        return cursor.fetchall()

    def pages(
        self, query: LiteralString, parameters: Mapping[str, Any] | None = None, *, rows: int
    ) -> Generator[list[tuple[Any, ...]], None, None]:
        """Run one statement and yield its rows as tuples, page by page, however many there are; close it at the end.

        The next page is read while the caller works on this one. One such statement runs at a time.
        """
        return pages(self._connected(), query, parameters, rows=rows)

    @contextmanager
    def savepoint(self) -> Iterator[Savepoint]:
        """Run the block's statements, and roll them back at its end unless it calls `keep()`; they may be nested."""
        callbacks, savepoint = len(self._after_commit), Savepoint()
        self._savepoints += 1
        # A savepoint stays after the rollback to it: with one name for all, it would hide the outer one from then on.
        name = f"part_{self._savepoints}"
        try:
            self.execute(f"savepoint {name}")
            yield savepoint
            self.execute(f"release savepoint {name}" if savepoint.is_kept else f"rollback to savepoint {name}")
        finally:
            self._savepoints -= 1
        if not savepoint.is_kept:
            del self._after_commit[callbacks:]

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call back after the commit; never after a rollback.

        Best effort: the process may die between the commit and the call.
        """
        self._after_commit.append(callback)

    def notify_after_commit(self, notification: Notification = "jobs") -> None:
        """Notify the relay after the commit that there are jobs, or events, to publish. Best effort."""
        self._notifications.add(notification)

    def notify_ready_after_commit(self, jobs: Iterable[tuple[int, UUID]]) -> None:
        """Notify idle workers after the commit of jobs, each with its priority, that can be claimed. Best effort."""
        self._ready.extend(jobs)
        self._notifications.add("ready")

    @property
    def is_untouched(self) -> bool:
        """Return whether no statement has run since the last commit, so that there is nothing to commit."""
        return not self._touched

    def commit(self) -> None:
        """Commit the transaction and call back; the next statement begins a new transaction."""
        callbacks, self._after_commit = self._after_commit, []
        if self._notifications:
            # Notifications go first: other callbacks may take long.
            callbacks.insert(0, partial(self._notify, self._notifications, self._ready))
            self._notifications, self._ready = set(), []
        if self._connection is not None:
            if self._connection.pgconn.transaction_status == TransactionStatus.INERROR:
                # Postgres would answer this COMMIT with success, and roll back.
                raise InFailedSqlTransaction("a statement of this transaction failed; roll it back and run it again")
            reach(_BEFORE_COMMIT)
            self._connection.commit()
            reach(_AFTER_COMMIT)
        self._touched = False
        for callback in callbacks:
            _call(callback)

    def release(self) -> None:
        """Roll back what is not committed and return the connection to the pool, such as before a long call."""
        self._after_commit, self._notifications, self._ready = [], set(), []
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                self._clean(connection)
            finally:
                self._pool.putconn(connection)

    def _clean(self, connection: PooledConnection) -> None:
        """Leave nothing of this session on the connection, or close it."""
        connection.used_at = time.monotonic()
        if connection.pgconn.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
            with suppress(Error):
                connection.rollback()  # The pool would roll back too, with a warning.
        if self._autocommit and connection.pgconn.transaction_status != TransactionStatus.IDLE:
            connection.close()  # It broke: the pool opens another.
        if not connection.closed:
            connection.reset()

    def _check_open(self) -> None:
        """Refuse a statement after the end of the block, such as a thread's that a handler left behind."""
        if self._is_ended:
            raise RuntimeError("this session has ended with its block; open another one by `database.transaction()`")

    def _connected(self) -> PooledConnection:
        self._check_open()
        if self._connection is None:
            try:
                self._connection = self._pool.getconn()
            except PoolTimeout as error:
                where = server_of(str(self._pool.conninfo))
                raise PostgresDownError(
                    f"no connection to Postgres at {where} in time; check that it runs, and read its log"
                ) from error
            if self._connection.autocommit is not self._autocommit:  # As the session before it has left it.
                self._connection.autocommit = self._autocommit
        self._touched = True
        return self._connection


class Database:
    """Database: a pool of connections of one role.

    `notify` sends the notifications of each commit that has any. Best effort: the relay polls too.
    `schema` is searched for tables instead of `public`. With `by_keys` Postgres plans each statement once, for
    access by keys: only for statements that all use keys.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        size: int,
        timeout_seconds: float = 10,
        notify: Notify = lambda *_: None,
        schema: str | None = None,
        by_keys: bool = False,
    ) -> None:
        self._notify = notify
        self.server = server_of(conninfo)
        options = SESSION_OPTIONS + (f" -c search_path={schema}" if schema else "")
        self._pool: ConnectionPool[PooledConnection] = ConnectionPool(
            conninfo,
            min_size=min(2, size),
            max_size=size,
            timeout=timeout_seconds,
            reconnect_timeout=_RECONNECT_SECONDS,
            connection_class=PooledConnection,
            check=check,
            configure=PooledConnection.configured,
            kwargs={
                "row_factory": dict_row,
                "options": options + (f" {BY_KEYS}" if by_keys else ""),
            },
            open=False,
        )

    def open(self) -> None:
        """Start to connect, in the background: this call does not wait for a server that is down."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def transaction(self) -> Session:
        """Return a session for a `with` block: committed at its end, rolled back when it raises."""
        return self._session()

    def autocommit(self) -> Session:
        """Return a session in autocommit mode: each statement is a transaction, in one round trip instead of three."""
        return self._session(autocommit=True)

    def _session(self, *, autocommit: bool = False) -> Session:
        return Session(self._pool, self._notify, autocommit=autocommit)

    def check(self) -> str | None:
        """Health check: return None, or raise when Postgres does not answer."""
        with self._pool.connection(timeout=2) as connection:
            connection.execute("select 1")
        return None


def is_outage(error: BaseException) -> bool:
    """Return whether an error means that Postgres is down, rather than that it refused the statement.

    By the class of its SQLSTATE: 08 (connection), 57P (shutdown, crash, cannot connect now), 53300 (too many
    connections); an error of the connection itself has no SQLSTATE.
    """
    if issubclass(type(error), PostgresDownError | InterfaceError):
        return True
    state = _state(error)
    return state is not None and (state == "" or state.startswith(("08", "57P")) or state == "53300")


def _state(error: BaseException) -> str | None:
    """Return the SQLSTATE of an operational error, empty where it has none; None of any other error."""
    if not issubclass(type(error), OperationalError):  # `isinstance` would run code of the error's own.
        return None
    return getattr(error, "sqlstate", None) or ""


def is_transient(error: BaseException) -> bool:
    """Return whether the same statement may succeed when retried: an outage, a deadlock, a lock timeout.

    Class 54, a value that exceeds a limit of Postgres, is an operational error too, and stays one.
    """
    state = _state(error)
    return is_outage(error) or (state is not None and not state.startswith("54"))


def _call(callback: Callable[[], object]) -> None:
    try:
        callback()
    except Exception:
        # The commit stands. A callback is best effort: whatever depends on it polls too.
        log.exception("after_commit_failed", callback=repr(callback))
