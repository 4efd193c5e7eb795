"""Pages of a rebuild: it is filled from the tables of transactions, or from the audit log, page by page.

A page is written alone and moves the cursor in the same transaction, so a rebuild that was killed continues. Its order
does not matter to the sums: of each transaction the highest sequence stays, whether a page or the sink has brought it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.analytics import store
from moneyflow.analytics.changes import Changes
from moneyflow.analytics.store import FRAGMENTS, Generations
from moneyflow.events.topics import AUTH_EVENTS, CATEGORY_EVENTS, TRANSACTION_EVENTS, USER_EVENTS
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

_NO_ID = UUID(int=0)
_TOPICS = [USER_EVENTS, AUTH_EVENTS, TRANSACTION_EVENTS, CATEGORY_EVENTS]

Cursor = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page has read, and where the next one begins."""

    cursor: Cursor
    read: int = 0
    skipped: int = 0
    is_last: bool = False


class Source(Protocol):
    """What a rebuild is filled from."""

    #: The parts of the generations that it knows.
    parts: tuple[str, ...]

    def check(self, session: Session) -> None:
        """Check that the source has all; raises ConflictError."""
        ...

    def is_behind(self, session: Session, rebuild_id: UUID, /) -> bool:
        """Return whether it has to be waited for."""
        ...

    def prepare(self, database: Database, cursor: Cursor, /, *, limit: int) -> Any:
        """Read what can be read before the page is written, while others write."""
        ...

    def write(self, session: Session, prepared: Any, cursor: Cursor, /, *, generation: int, limit: int) -> Page:
        """Write a page; nothing else writes."""
        ...


class Tables:
    """The tables of transactions: they know the money, and not who signed in when."""

    parts: tuple[str, ...] = ("money",)

    def check(self, session: Session) -> None:
        """They have all."""

    def is_behind(self, _: Session, __: UUID) -> bool:
        """Return False: what a transaction has committed is there before its event."""
        return False

    def prepare(self, _: Database, __: Cursor, *, limit: int) -> None:
        """Read nothing: a row that is read before it may be written is stale."""

    def write(self, session: Session, _: None, cursor: Cursor, *, generation: int, limit: int) -> Page:
        """Write a page of the deleted transactions that are known, then one of the tables."""
        of_deleted = cursor.get("of", "deleted") == "deleted"
        name = "deleted" if of_deleted else "tables"
        after = {"after": cursor.get("id", _NO_ID), "after_user": cursor.get("user", _NO_ID)}
        row = session.fetch_one(_QUERIES[name], {**after, "generation": generation, "limit": limit})
        assert row is not None, "an aggregate returns a row"
        is_end = row["rows"] < limit
        if of_deleted and is_end:
            return Page(cursor={"of": "tables"}, read=row["rows"])
        place = {"id": str(row["last"] or after["after"])} | ({"user": str(row["last_user"])} if of_deleted else {})
        return Page(cursor={"of": name, **place}, read=row["rows"], is_last=is_end)


class Log:
    """The audit log: every event from the first on."""

    parts: tuple[str, ...] = ("money", "people")

    def check(self, session: Session) -> None:
        """Check that the log begins with the first event.

        Raises:
            ConflictError: it does not.
        """
        cut = session.fetch_all(_QUERIES["log_is_cut"], {"topics": _TOPICS})
        if cut:
            named = ", ".join(f"{row['topic']} {row['partition']}" for row in cut)
            raise ConflictError(f"the audit log lacks the first events of {named}; rebuild from the tables")

    def is_behind(self, session: Session, rebuild_id: UUID) -> bool:
        """Return whether the log lacks an event that the sink had read when it began to write both generations."""
        return bool(session.fetch_all(_QUERIES["log_is_behind"], {"id": rebuild_id}))

    def prepare(self, database: Database, cursor: Cursor, *, limit: int) -> list[DictRow]:
        """Return the rows of a page."""
        place = {"topic": cursor.get("topic", ""), "partition": cursor.get("partition", 0)}
        place |= {"position": cursor.get("position", 0), "topics": _TOPICS, "limit": limit}
        with database.transaction() as session:
            return session.fetch_all(_QUERIES["log"], place)

    def write(self, session: Session, rows: list[DictRow], cursor: Cursor, *, generation: int, limit: int) -> Page:
        """Write the events of a page; one that is bad was set aside by the sink too, and is skipped."""
        if not rows:
            return Page(cursor=cursor, is_last=True)
        changes, skipped = Changes(), 0
        for row in rows:
            try:
                changes.add(envelope.read(bytes(row["value"])))
            except PoisonError:
                skipped += 1
        store.write(session, changes, only=Generations(money=[generation], people=[generation]))
        last = {name: rows[-1][name] for name in ("topic", "partition", "position")}
        return Page(cursor=last, read=len(rows), skipped=skipped, is_last=len(rows) < limit)


#: Each source by its name in commands.
SOURCES: Mapping[str, Source] = {"log": Log(), "tables": Tables()}
