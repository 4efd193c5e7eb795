"""Nested transactions: sessions whose transactions are savepoints of an outer one."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import Cursor
from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session


class NestedDatabase(Database):
    """A database whose transactions are all inside one."""

    def __init__(self, outer: Session) -> None:
        self._outer = outer

    def _session(self, *, autocommit: bool = False) -> Session:  # noqa: ARG002 - no statement commits by itself here
        return NestedSession(self._outer)


class NestedSession(Session):
    """A session inside another's transaction: each of its transactions is a savepoint there."""

    def __init__(self, outer: Session) -> None:
        self._outer = outer
        self._is_begun = False
        self._is_ended = False
        self._savepoints = 0
        self._forget()

    def execute(self, query: LiteralString, parameters: Mapping[str, Any] | None = None) -> Cursor[DictRow]:
        """Run one statement."""
        self._begin()
        return self._outer.execute(query, parameters)

    def count_rows(self, query: LiteralString, parameters: Mapping[str, Any]) -> int:
        """Run one statement and return how many rows it wrote."""
        self._begin()
        return self._outer.count_rows(query, parameters)

    def execute_many(self, query: LiteralString, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each row."""
        self._begin()
        self._outer.execute_many(query, rows)

    def commit(self) -> None:
        """Release the savepoint; the outer transaction decides whether its writes last."""
        if self._is_begun:
            self._outer.execute("release savepoint nested")
            self._is_begun = False
        for callback in self._after_commit:
            self._outer.after_commit(callback)
        for notification in self._notifications:
            self._outer.notify_after_commit(notification)
        if self._ready:
            self._outer.notify_ready_after_commit(self._ready)
        self._forget()

    def release(self) -> None:
        """Roll back what was not committed."""
        if self._is_begun:
            self._outer.execute("rollback to savepoint nested")
            self._outer.execute("release savepoint nested")
            self._is_begun = False
        self._forget()

    def _begin(self) -> None:
        self._check_open()
        if not self._is_begun:
            self._outer.execute("savepoint nested")
            self._is_begun = True
        self._touched = True

    def _forget(self) -> None:
        self._after_commit, self._notifications, self._ready = [], set(), []
        self._touched = False
