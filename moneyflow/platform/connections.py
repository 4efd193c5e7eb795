"""Connections with Postgres as a pool makes them: psycopg's own, and a quicker one for threads."""

import re
from collections.abc import Mapping
from typing import Any, LiteralString, Self

from psycopg import Connection, Cursor, OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow

#: After a statement with one of these answers psycopg lets Postgres forget every statement that was prepared.
_PSYCOPG_FORGETS = ("DROP", "ALTER", "ROLLBACK", "DISCARD ALL", "DEALLOCATE ALL")
_PARAMETER = re.compile(r"%\((\w+)\)s")


class PooledConnection(Connection[DictRow]):
    """A connection that knows when it was in use."""

    used_at: float = 0.0

    def begin(self) -> None:
        """Begin a transaction; psycopg does so by itself."""

    def count_rows(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run one statement and return how many rows it wrote."""
        return self.execute(query, parameters).rowcount


class ThreadConnection(PooledConnection):
    """A connection that begins, commits and counts rows by libpq's own calls.

    PERF: by psycopg's own way, which looks for signals while it waits, each of these takes three times as long. No
    signal interrupts it here, so the main thread, which handles them, must not use it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.cursor_factory = _ThreadCursor
        self._prepared_names: dict[str, tuple[bytes, list[str]]] = {}
        #: Until a statement after which psycopg lets Postgres forget all that was prepared; a rollback ends that.
        self._is_direct = True

    def begin(self) -> None:
        """Begin a transaction."""
        _ended_well(self.pgconn.exec_(b"BEGIN"))

    def commit(self) -> None:
        """Commit the transaction, if there is one."""
        if self.pgconn.transaction_status != TransactionStatus.IDLE:
            _ended_well(self.pgconn.exec_(b"COMMIT"))

    def rollback(self) -> None:
        """Roll the transaction back, if there is one, and let Postgres forget every statement that was prepared.

        psycopg forgets its own at a rollback, and may have Postgres forget all of them: what was prepared here too.
        Whatever a try has made of the connection, the next one finds it new.
        """
        if self.pgconn.transaction_status == TransactionStatus.IDLE:
            return
        super().rollback()
        self._prepared_names.clear()
        _ended_well(self.pgconn.exec_(b"DEALLOCATE ALL"))
        self._is_direct = True

    def count_rows(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run one statement and return how many rows it wrote."""
        if not self._is_direct:
            return super().count_rows(query, parameters)
        name, order = self._prepared_names.get(query) or self._prepare(query)
        values = [None if parameters[one] is None else str(parameters[one]).encode() for one in order]
        result = self.pgconn.exec_prepared(name, values)  # type: ignore[arg-type] # None is null there
        return _ended_well(result).command_tuples or 0

    def note(self, status: str | None) -> None:
        """Note what Postgres answered to a statement that went psycopg's way."""
        if status is not None and status.startswith(_PSYCOPG_FORGETS):
            self._is_direct = False

    def _prepare(self, query: LiteralString) -> tuple[bytes, list[str]]:
        order = list(dict.fromkeys(_PARAMETER.findall(query)))
        text = _PARAMETER.sub(lambda found: f"${order.index(found[1]) + 1}", query).replace("%%", "%")
        name = f"direct_{len(self._prepared_names)}".encode()
        _ended_well(self.pgconn.prepare(name, text.encode()))
        self._prepared_names[query] = name, order
        return name, order


class _ThreadCursor(Cursor[DictRow]):
    """Tells its connection of statements after which psycopg forgets all that it has prepared."""

    def execute(self, *arguments: Any, **options: Any) -> Self:
        """Run one statement."""
        super().execute(*arguments, **options)
        assert isinstance(self.connection, ThreadConnection)
        self.connection.note(self.statusmessage)
        return self


def _ended_well(result: PGresult) -> PGresult:
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    if not result.error_field(DiagnosticField.SQLSTATE):
        raise OperationalError(result.get_error_message())  # It did not come from Postgres: the connection broke.
    raise error_from_result(result)
