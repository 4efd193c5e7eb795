"""Rebuild: another generation of the rows is filled while the sink continues, and then read in place of this one.

1. Begin: a new generation is noted. From this commit on the sink writes it next to the current one.
2. Fill: pages of the source are written (`rebuild_pages.py`). What is in no page is in an event that the sink writes.
3. Swap: one short transaction changes which generation is read. Both were equal but for what the rebuild corrects.
4. Clean: the rows of the former generation are deleted, some at a time.

An operator who runs it again after it was killed continues it; two who run it at the same time share its pages.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from moneyflow.analytics import store
from moneyflow.analytics.rebuild_pages import SOURCES, Page
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Rows of a page: the sink waits for one about 0.1 seconds.
PAGE_ROWS = 2000
#: Rows that a statement cleans.
_CLEANED_AT_ONCE = 20_000
#: Seconds between looks at a source that is behind.
_WAIT_SECONDS = 0.5
_CLEANED = {
    "money": ("clean_transactions", "clean_daily_sums", "clean_monthly_sums"),
    "people": ("clean_people", "clean_counted", "clean_day_counts"),
}

SourceName = Literal["log", "tables"]


@dataclass(frozen=True, kw_only=True)
class Rebuilding:
    """A rebuild as it is noted; `sums_corrected` is known once it was swapped."""

    id: UUID
    source: SourceName
    state: Literal["filling", "swapped", "ended", "cancelled"]
    generation: int
    asked_by: str
    reason: str
    cursor: dict[str, Any]
    rows_read: int
    rows_skipped: int
    sums_corrected: int | None

    def document(self) -> dict[str, Any]:
        """Return what an operator sees of it."""
        return {name: value for name, value in asdict(self).items() if name not in {"cursor", "generation"}}


class Rebuilds:
    """Rebuilds of one database; `pause` waits for a source that is behind, and `page_rows` are read at once."""

    def __init__(
        self, database: Database, *, page_rows: int = PAGE_ROWS, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._database = database
        self._page_rows = page_rows
        self._pause = pause

    def begin(self, *, source: SourceName | None, asked_by: str, reason: str | None) -> Rebuilding:
        """Begin a rebuild, or return the one that is not finished.

        Raises:
            ConflictError: one from another source is not finished, or the source does not have all.
            InvalidInputError: there is none to continue, and no source or reason is given.
        """
        with self._database.transaction() as session:
            store.exclude(session)
            running = _filling(session)
            if running is not None:
                if source not in {None, running.source}:
                    raise ConflictError(f"a rebuild from the {running.source} is not finished; continue or cancel it")
                return running
            if source is None or not reason:
                raise InvalidInputError("no rebuild is there to continue; a new one needs a source and a reason")
            SOURCES[source].check(session)
            parameters = {"id": new_id(), "source": source, "asked_by": asked_by, "reason": reason}
            row = session.fetch_one(_QUERIES["begin"], parameters)
            assert row is not None, "the statement returns the row"
            parts = list(SOURCES[source].parts)
            session.execute(_QUERIES["fill"], {"generation": row["generation"], "parts": parts})
            return Rebuilding(**row)

    def run(self, rebuild: Rebuilding) -> Generator[Rebuilding]:
        """Fill, swap and clean; yield the rebuild after each page and at its end."""
        self._await_source(rebuild)
        while (page := self._fill(rebuild.id)) is not None and not page.is_last:
            yield self.found(rebuild.id)
        self._swap(rebuild.id)
        self.clean()
        yield self.found(rebuild.id)

    def cancel(self) -> Rebuilding:
        """Cancel the rebuild that is not finished; return it.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.transaction() as session:
            store.exclude(session)
            running = _filling(session)
            if running is None:
                raise NotFoundError("no rebuild is there to cancel")
            session.execute(_QUERIES["cancel"], {"id": running.id, "generation": running.generation})
        self.clean()
        return self.found(running.id)

    def clean(self, *, limit: int = _CLEANED_AT_ONCE) -> None:
        """Delete the rows of generations that are not in use, some in a transaction."""
        with self._database.transaction() as session:
            unused = {row["part"]: row["generations"] for row in session.fetch_all(_QUERIES["unused"])}
        for part, generations in unused.items():
            for name in _CLEANED[part]:
                rows = limit
                while rows >= limit:
                    with self._database.transaction() as session:
                        rows = session.count_rows(_QUERIES[name], {"generations": generations, "limit": limit})
        with self._database.transaction() as session:
            session.execute(_QUERIES["end"])

    def found(self, rebuild_id: UUID) -> Rebuilding:
        """Return a rebuild that there is."""
        with self._database.transaction() as session:
            row = session.fetch_one(_QUERIES["found"], {"id": rebuild_id})
        assert row is not None, "rebuilds are kept"
        return Rebuilding(**row)

    def _await_source(self, rebuild: Rebuilding) -> None:
        source = SOURCES[rebuild.source]
        while True:
            with self._database.transaction() as session:
                if not source.is_behind(session, rebuild.id):
                    return
            self._pause(_WAIT_SECONDS)

    def _fill(self, rebuild_id: UUID) -> Page | None:
        """Write the next page; None when the rebuild has ended meanwhile."""
        noted = self.found(rebuild_id)
        source, limit = SOURCES[noted.source], self._page_rows
        prepared = source.prepare(self._database, noted.cursor, limit=limit)
        with self._database.transaction() as session:
            store.exclude(session)
            current = _filling(session)
            if current is None or current.id != rebuild_id:
                return None
            if current.cursor != noted.cursor:  # Another command has written this page.
                return Page(cursor=current.cursor)
            page = source.write(session, prepared, noted.cursor, generation=noted.generation, limit=limit)
            moved = {"cursor": Jsonb(page.cursor), "read": page.read, "skipped": page.skipped}
            session.execute(_QUERIES["advance"], {"id": rebuild_id, **moved})
        return page

    def _swap(self, rebuild_id: UUID) -> None:
        noted = self.found(rebuild_id)
        with self._database.transaction() as session:
            session.execute("set local statement_timeout = 0")
            row = session.fetch_one(_QUERIES["differences"], {"generation": noted.generation})
        assert row is not None, "an aggregate returns a row"
        with self._database.transaction() as session:
            store.exclude(session)
            current = _filling(session)
            if current is not None and current.id == rebuild_id:
                session.execute(_QUERIES["swap"], {"id": rebuild_id, "generation": noted.generation, **row})


def _filling(session: Session) -> Rebuilding | None:
    row = session.fetch_one(_QUERIES["filling"])
    return Rebuilding(**row) if row else None
