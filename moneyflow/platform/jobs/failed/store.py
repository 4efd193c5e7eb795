"""What operators do to many jobs at once, in SQL: a set frozen when it begins, then done in pieces, each recorded.

Whoever acts names the fence that a job had when the set was frozen. So of two operations on one job one finds it as
it was, and an operation that was killed in the middle goes on where it stopped.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.failed.groups import DeadState, Filter, filtered
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_PAGE = 1000
_FIRST_ID = UUID(int=0)


class Verb(StrEnum):
    """What is done."""

    REPLAY = "replay"
    DISCARD = "discard"
    RESTORE = "restore"

    @property
    def from_state(self) -> DeadState:
        """Return the state that a job must be in."""
        return "discarded" if self is Verb.RESTORE else "failed"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which jobs: those of `ids`, those that the operation `source` discarded, or those of `filter`."""

    filter: Filter = field(default_factory=Filter)
    ids: tuple[UUID, ...] = ()
    source: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what was given, to be kept."""
        named = {"ids": [str(job_id) for job_id in self.ids]} if self.ids else {}
        source = {"operation": str(self.source)} if self.source else {}
        return {**named, **source, **self.filter.as_json()}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What an operator asks for: what, on which jobs, by whom and why; `rate` is in jobs per second."""

    verb: Verb
    selection: Selection
    asked_by: str
    reason: str | None = None
    rate: float | None = None
    canary: int | None = None


@dataclass(frozen=True, kw_only=True)
class Item:
    """A job of a set, with the fence that it had when the set was frozen, and as it is now."""

    position: int
    job_id: UUID
    fence: int | None
    state: str | None
    fence_now: int | None
    kind: str | None
    version: int | None
    payload: dict[str, Any] | None


def begin(session: Session, order: Order, *, filter_as: Mapping[str, Any] | None = None) -> UUID:
    """Keep the order, with nothing frozen yet, and return the operation's id."""
    operation_id = new_id()
    chosen = dict(filter_as) if filter_as is not None else order.selection.as_json()
    parameters = {
        "id": operation_id,
        "verb": order.verb,
        "asked_by": order.asked_by,
        "reason": order.reason,
        "filter": Jsonb(chosen),
        "rate_per_second": order.rate,
        "canary": order.canary,
    }
    session.execute(_QUERIES["begin"], parameters)
    return operation_id


def freeze(session: Session, operation_id: UUID, order: Order) -> int:
    """Freeze the set of the order in one statement and return how many jobs it has."""
    chosen = order.selection
    if chosen.ids:
        session.execute(_QUERIES["freeze_ids"], {"operation_id": operation_id, "ids": list(chosen.ids)})
    elif chosen.source:
        session.execute(_QUERIES["freeze_discarded"], {"operation_id": operation_id, "source": chosen.source})
    else:
        parameters = {**chosen.filter.parameters(), "operation_id": operation_id, "state": order.verb.from_state}
        session.execute(filtered(_QUERIES["freeze"]), parameters)
    return count_items(session, operation_id)


def count_items(session: Session, operation_id: UUID) -> int:
    """Note in the operation how many items it has, and return it."""
    row = session.fetch_one(_QUERIES["count_items"], {"id": operation_id})
    assert row is not None
    count: int = row["items"]
    return count


def lock(session: Session, operation_id: UUID) -> DictRow:
    """Return the operation and hold it until the transaction ends; raises NotFoundError."""
    return _found(session.fetch_one(_QUERIES["lock"], {"id": operation_id}), operation_id)


def next_items(session: Session, operation_id: UUID, *, after: int, limit: int) -> list[Item]:
    """Return the next items that nothing was done about yet."""
    rows = session.fetch_all(_QUERIES["next_items"], {"id": operation_id, "after": after, "limit": limit})
    return [Item(**row) for row in rows]


def candidates(session: Session, order: Order) -> Iterator[Item]:
    """Yield what the order would freeze, without keeping anything."""
    chosen = order.selection
    if chosen.ids:
        yield from _numbered(session.fetch_all(_QUERIES["candidates_by_id"], {"ids": list(chosen.ids)}))
        return
    if chosen.source:
        yield from _numbered(session.fetch_all(_QUERIES["candidates_discarded"], {"source": chosen.source}))
        return
    query, after, position = filtered(_QUERIES["candidates"]), _FIRST_ID, 1
    shared = {**chosen.filter.parameters(), "state": order.verb.from_state, "limit": _PAGE}
    while rows := session.fetch_all(query, {**shared, "after": after}):
        yield from _numbered(rows, first=position)
        after, position = rows[-1]["job_id"], position + len(rows)


def replay(session: Session, items: Sequence[Item], *, start: datetime, gap_seconds: float) -> set[UUID]:
    """Begin the items' jobs anew, one gap apart, and return those that were still as they had been frozen."""
    session.notify_after_commit()
    return _changed(session, "replay", items, start=start, gap_seconds=gap_seconds)


def discard(session: Session, items: Sequence[Item]) -> set[UUID]:
    """Set the items' jobs aside and return those that were still as they had been frozen."""
    return _changed(session, "discard", items)


def restore(session: Session, items: Sequence[Item]) -> set[UUID]:
    """Bring discarded jobs back, with their dead letters, and return those that were still as they had been frozen."""
    session.notify_after_commit()
    return _changed(session, "restore", items)


def pace(session: Session, operation_id: UUID, *, start: datetime, gap_seconds: float, jobs: int) -> None:
    """Note that so many jobs were spread from `start` on."""
    until = start + timedelta(seconds=gap_seconds * jobs)
    session.execute(_QUERIES["pace"], {"id": operation_id, "until": until})


def record(session: Session, operation_id: UUID, results: Mapping[int, tuple[str, str | None]]) -> None:
    """Keep result and detail of the items at these positions."""
    parameters = {
        "id": operation_id,
        "positions": list(results),
        "results": [result for result, _ in results.values()],
        "details": [detail for _, detail in results.values()],
    }
    session.execute(_QUERIES["record"], parameters)


def keep_messages(
    session: Session, operation_id: UUID, messages: Mapping[int, Mapping[str, Any]], *, result: str | None
) -> None:
    """Keep messages that have no job as the items at these positions."""
    kept = [Jsonb(message) for message in messages.values()]
    parameters = {"id": operation_id, "positions": list(messages), "messages": kept, "result": result}
    session.execute(_QUERIES["keep_messages"], parameters)


def messages(session: Session, operation_id: UUID) -> list[DictRow]:
    """Return position and message of every message that the operation discarded."""
    return session.fetch_all(_QUERIES["messages"], {"id": operation_id})


def change_state(session: Session, operation_id: UUID, state: str) -> None:
    """Say that the operation is open, stopped or ended."""
    session.execute(_QUERIES["change_state"], {"id": operation_id, "state": state})


def end_canary(session: Session, operation_id: UUID) -> None:
    """Say that the canary needs nobody to wait for it any more."""
    session.execute(_QUERIES["end_canary"], {"id": operation_id})


def canary(session: Session, operation_id: UUID) -> list[DictRow]:
    """Return how the jobs stand that the operation has replayed so far."""
    return session.fetch_all(_QUERIES["canary"], {"id": operation_id})


def operation(session: Session, operation_id: UUID) -> DictRow:
    """Return one operation with the number of its open items; raises NotFoundError."""
    return _found(session.fetch_one(_QUERIES["operation"], {"id": operation_id}), operation_id)


def operations(session: Session, *, limit: int) -> list[DictRow]:
    """Return the newest operations with the numbers of their open items."""
    return session.fetch_all(_QUERIES["operations"], {"limit": limit})


def results(session: Session, operation_id: UUID) -> dict[str, int]:
    """Count the operation's items by their results; those that nothing was done about are `open`."""
    rows = session.fetch_all(_QUERIES["results"], {"id": operation_id})
    return {row["result"]: row["items"] for row in rows}


def items(session: Session, operation_id: UUID) -> list[DictRow]:
    """Return what became of each item."""
    return session.fetch_all(_QUERIES["items"], {"id": operation_id})


def _changed(session: Session, query: str, items: Sequence[Item], **parameters: object) -> set[UUID]:
    asked = {"ids": [item.job_id for item in items], "fences": [item.fence for item in items]}
    return {row["id"] for row in session.fetch_all(_QUERIES[query], {**asked, **parameters})} if items else set()


def _numbered(rows: Collection[DictRow], *, first: int = 1) -> Iterator[Item]:
    for position, row in enumerate(rows, first):
        yield Item(position=position, **row)


def _found(row: DictRow | None, operation_id: UUID) -> DictRow:
    if row is None:
        raise NotFoundError(f"there is no operation {operation_id}; see `moneyflow failed operations`")
    return row
