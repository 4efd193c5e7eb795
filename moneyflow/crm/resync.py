"""Contacts as a source of operations: `resync` has people sent again, whatever the CRM has of them.

An item's guard is the revision at the freeze: of two operators one has a person sent, and the other finds it done. An
id that is no one's here is taken too: its contact is removed there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.crm.status import State
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.operations.sources import (
    ALREADY_DONE,
    Chunk,
    Ends,
    Frozen,
    Item,
    Order,
    Outcome,
    Verb,
    Verification,
)
from moneyflow.platform.queries import array, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))

CONTACTS = "crm_contacts"
RESYNC = "resync"
_DUE, _SYNCED, _REFUSED = "due", "synced", "set aside"
_DONE_MEANWHILE = Outcome(result=ALREADY_DONE, detail="the person has changed since, or is sent for another operator")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which people: in these states, and with these errors, a code with or without its field."""

    states: tuple[State, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it matches everyone."""
        return not (self.states or self.errors)

    def as_json(self) -> dict[str, Any]:
        """Return the parts that were given."""
        parts = {"states": list(self.states), "errors": list(self.errors)}
        return {name: values for name, values in parts.items() if values}


def _ends(session: Session, _: UUID, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Return what became of people who were made due; those who wait still are left out."""
    rows = _rows(session, items)
    ends = {item.position: _end(rows.get(item.item_id)) for item in items}
    return {position: end for position, end in ends.items() if end is not None}


_VERBS = {
    RESYNC: Verb(
        name=RESYNC,
        result=_DUE,
        is_paced=True,
        is_verified=True,
        ends=Ends(success=_SYNCED, failure=_REFUSED, read=_ends),
    )
}


class CrmContacts:
    """The source `crm_contacts`."""

    name = CONTACTS
    verbs: Mapping[str, Verb] = _VERBS

    def freeze(self, order: Order) -> Frozen:
        """Return the query that freezes the people of ids, or of a filter."""
        selection = order.selection
        if selection.ids:
            return Frozen(query=_QUERIES["by_id"], parameters={"ids": [person_id(text) for text in selection.ids]})
        chosen = selection.criteria if isinstance(selection.criteria, Filter) else Filter()
        parameters = {"states": list(chosen.states) or None, "errors": list(chosen.errors) or None}
        return Frozen(query=_QUERIES["matching"], parameters=parameters)

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:  # noqa: ARG002 - one verb
        """Return whom another operator, or a change, has made due since the freeze."""
        rows = _rows(session, items)
        now = {item.position: rows.get(item.item_id) for item in items}
        return {item.position: _DONE_MEANWHILE for item in items if _revision(now[item.position]) != item.guard}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Make those due who are still as they were frozen."""
        session.execute(_QUERIES["lock"], {"ids": array(UUID(item.item_id) for item in chunk.items)})
        gap = timedelta(seconds=chunk.gap_seconds)
        parameters = {
            "ids": array(UUID(item.item_id) for item in chunk.items),
            "revisions": [int(item.guard) if item.guard else None for item in chunk.items],
            "due_at": [chunk.due_from + at * gap for at in range(len(chunk.items))],
        }
        changed = {str(row["user_id"]) for row in session.fetch_all(_QUERIES["resync"], parameters)}
        done = Outcome(result=_DUE)
        return {item.position: done if item.item_id in changed else _DONE_MEANWHILE for item in chunk.items}

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:
        """Return the states of people, in the order of the ids."""
        ids = list(item_ids)
        found = {
            str(row["user_id"]): row for row in session.fetch_all(_QUERIES["contacts"], {"ids": array(map(UUID, ids))})
        }
        return [_verification(found[text]) for text in ids if text in found]


def person_id(text: str) -> UUID:
    """Return the id of a person; raises InvalidInputError."""
    parsed = parse_id(text)
    if parsed is None:
        raise InvalidInputError(f"{text} is not the id of a person", about="contact")
    return parsed


def _rows(session: Session, items: Sequence[Item]) -> dict[str, DictRow]:
    ids = array(UUID(item.item_id) for item in items)
    return {str(row["user_id"]): row for row in session.fetch_all(_QUERIES["contacts"], {"ids": ids})}


def _revision(row: DictRow | None) -> str | None:
    return str(row["revision"]) if row else None


def _end(row: DictRow | None) -> Outcome | None:
    if row is None or row["state"] == "waiting":
        return None
    return Outcome(result=_REFUSED, detail=row["error"]) if row["state"] == "set aside" else Outcome(result=_SYNCED)


def _verification(row: DictRow) -> Verification:
    has_succeeded = None if row["state"] == "waiting" else row["state"] != "set aside"
    return Verification(
        item_id=str(row["user_id"]), state=row["state"], has_succeeded=has_succeeded, error_class=row["error"]
    )
