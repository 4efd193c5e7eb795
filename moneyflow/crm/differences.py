"""Differences between the CRM and us, found page by page; by the names of fields, and without any value.

A person who waits to be sent is no difference. Who differs is read once more on both sides, because people change while
they are compared. Where the CRM cannot be read, what its receiver has acknowledged is compared.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.crm import gate
from moneyflow.crm.leases import digest_of
from moneyflow.gateways.crm import Contact, Crm
from moneyflow.platform.database import Database
from moneyflow.platform.queries import array, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_LOWEST_ID = UUID(int=0)
#: Of a person of whom something differs, and who knows what.
_UNKNOWN = ("unknown",)

#: `missing`: the CRM does not have the person. `changed`: fields differ. `extra`: the CRM has someone who is not here.
#: `refused`: the CRM refuses the person, who is set aside.
Kind = Literal["missing", "changed", "extra", "refused"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A person of whom the CRM has something else; `fields` are the names of what differs, where that is known."""

    user_id: UUID
    kind: Kind
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Compares one CRM with the tables; `pause` waits for the CRM's rate of requests."""

    database: Database
    crm: Crm
    pause: Callable[[float], object]

    def differences(self, on_page: Callable[[int], object] = lambda _: None) -> Iterator[Difference]:
        """Yield the differences: ours in the order of the ids, then what only the CRM has."""
        after = _LOWEST_ID
        while rows := self._read("people", {"after": after, "limit": self.crm.batch_limit}):
            yield from self._of_page(rows)
            on_page(len(rows))
            after = rows[-1]["id"]
        if self.crm.is_readable:
            for ids in self._pages():
                unknown = self._read("unknown", {"ids": array(ids)})
                yield from (Difference(user_id=row["id"], kind="extra") for row in unknown)

    def _of_page(self, rows: Sequence[DictRow]) -> Iterator[Difference]:
        suspects = [row["id"] for row, _ in self._differing(rows)]
        if not suspects:
            return
        again = self._read("again", {"ids": array(suspects)})
        for row, fields in self._differing(again):
            kind: Kind = "refused" if row["is_set_aside"] else "changed" if fields else "missing"
            yield Difference(user_id=row["id"], kind=kind, fields=() if fields is _UNKNOWN else tuple(fields))

    def _differing(self, rows: Sequence[DictRow]) -> list[tuple[DictRow, Sequence[str]]]:
        """Return those who differ and do not wait, each with the fields; a person whom the CRM lacks has none."""
        settled = [row for row in rows if not row["is_waiting"]]
        if not self.crm.is_readable:
            stale = [row for row in settled if not _is_acknowledged(row)]
            return [(row, _UNKNOWN if row["is_acknowledged"] else ()) for row in stale]
        theirs = self._asked([row["id"] for row in settled]) if settled else {}
        return [
            (row, fields)
            for row in settled
            if (fields := _fields(row, theirs.get(row["id"]))) or row["id"] not in theirs
        ]

    def _asked(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, str | None]]:
        self._wait()
        return self.crm.find(ids)

    def _pages(self) -> Iterator[Sequence[UUID]]:
        pages = self.crm.ids()
        while True:
            self._wait()
            page = next(pages, None)
            if page is None:
                return
            yield page

    def _wait(self) -> None:
        with self.database.autocommit() as session:
            seconds = gate.reserve(session, requests_per_second=self.crm.requests_per_second)
        self.pause(seconds)

    def _read(self, query: str, parameters: Mapping[str, object]) -> list[DictRow]:
        with self.database.transaction() as session:
            return session.fetch_all(_QUERIES[query], parameters)


def _fields(row: DictRow, theirs: Mapping[str, str | None] | None) -> list[str]:
    """Return the names of the fields that differ; CRMs may write an address in small letters."""
    if theirs is None:
        return []
    ours = _ours(row)
    return [name for name, value in ours.items() if _comparable(name, value) != _comparable(name, theirs.get(name))]


def _comparable(name: str, value: str | None) -> str | None:
    return value.lower() if value and name == "email" else value


def _is_acknowledged(row: DictRow) -> bool:
    return bool(row["is_acknowledged"]) and bytes(row["digest"]) == digest_of(row["id"], _ours(row))


def _ours(row: DictRow) -> dict[str, str | None]:
    names = ("id", "email", "name", "created_at", "activated_at", "last_sign_in_at")
    return Contact(version=0, **{name: row[name] for name in names}).fields()
