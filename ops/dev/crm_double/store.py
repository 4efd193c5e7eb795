"""The double's contacts, in SQLite."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SCHEMA = """
create table if not exists contacts (
    id integer primary key autoincrement,
    external_id text,
    properties text not null,
    version integer not null default 0,
    archived integer not null default 0,
    created_at text not null,
    updated_at text not null,
    writes integer not null default 1
);
create index if not exists contacts_external_id on contacts (external_id);
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A contact: `id` is the CRM's own, `external_id` is its client's."""

    id: int
    external_id: str | None
    properties: Mapping[str, str]
    version: int
    archived: bool
    created_at: str
    updated_at: str
    writes: int
    is_new: bool = False


class Store:
    """Contacts that outlive the process; one statement at a time."""

    def __init__(self, file: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all changes of the block or none; no other request comes in between."""
        with self._lock:
            self._connection.execute("begin immediate")
            try:
                yield
            except BaseException:
                self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    def find(self, external_id: str) -> Row | None:
        """Return the contact with the client's id that is not archived."""
        rows = self._rows("where external_id = ? and archived = 0 order by id", external_id)
        return rows[0] if rows else None

    def holder(self, email: str) -> Row | None:
        """Return the contact with an address."""
        rows = self._rows("where archived = 0 and lower(json_extract(properties, '$.email')) = lower(?)", email)
        return rows[0] if rows else None

    def put(self, external_id: str, properties: Mapping[str, str], *, version: int = 0) -> Row:
        """Create or change the contact with the client's id; a lower version than the known one changes nothing."""
        with self._lock:
            known, now = self.find(external_id), _now()
            if known and version < known.version:
                return known
            text = json.dumps({**(known.properties if known else {}), **properties})
            if known:
                self._connection.execute(
                    "update contacts set properties = ?, version = ?, updated_at = ?, writes = writes + 1 where id = ?",
                    (text, version, now, known.id),
                )
                return self._row(known.id)
            made = self._connection.execute(
                "insert into contacts (external_id, properties, version, created_at, updated_at) "
                "values (?, ?, ?, ?, ?)",
                (external_id, text, version, now, now),
            )
            return self._row(made.lastrowid or 0, is_new=True)

    def archive(self, id_: int) -> None:
        """Archive a contact by the CRM's own id, and forget its values."""
        with self._lock:
            self._connection.execute(
                "update contacts set archived = 1, properties = '{}', updated_at = ? where id = ?", (_now(), id_)
            )

    def forgotten_version(self, external_id: str) -> int:
        """Return the version by which the contact was last deleted; 0 when it never was."""
        found = self._connection.execute(
            "select max(version) from contacts where external_id = ? and archived = 1", (external_id,)
        ).fetchone()
        return int(found[0] or 0)

    def delete(self, external_id: str, *, version: int) -> None:
        """Archive by the client's id, and remember the version."""
        with self._lock:
            known = self.find(external_id)
            if known and version >= known.version:
                self._connection.execute("update contacts set version = ? where id = ?", (version, known.id))
                self.archive(known.id)

    def page(self, *, after: int = 0, limit: int = 100) -> Sequence[Row]:
        """Return contacts that are not archived, in the order of the CRM's own ids."""
        return self._rows("where archived = 0 and id > ? order by id limit ?", after, limit)

    def everything(self) -> Sequence[Row]:
        """Return all contacts that are not archived."""
        return self._rows("where archived = 0 order by id")

    def clear(self) -> None:
        """Delete all contacts."""
        with self._lock:
            self._connection.execute("delete from contacts")

    def _row(self, id_: int, *, is_new: bool = False) -> Row:
        return self._rows("where id = ?", id_, is_new=is_new)[0]

    def _rows(self, condition: str, *parameters: Any, is_new: bool = False) -> list[Row]:
        query = "select * from contacts " + condition  # noqa: S608 - each condition is a constant of this class
        with self._lock:
            found = self._connection.execute(query, parameters).fetchall()
        return [_row_of(dict(row), is_new=is_new) for row in found]


def _row_of(columns: Mapping[str, Any], *, is_new: bool) -> Row:
    read = {"properties": json.loads(columns["properties"]), "archived": bool(columns["archived"])}
    return Row(**{**columns, **read}, is_new=is_new)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
