"""Operations in Postgres: who ordered what and why, the frozen items, and each item's result."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.ids import new_id
from moneyflow.platform.operations.sources import Frozen, Item, Order, Outcome
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def begin(session: Session, order: Order) -> UUID:
    """Insert the operation, with no item yet, and return its id."""
    operation_id = new_id()
    parameters = {
        "id": operation_id,
        "verb": order.verb,
        "sources": list(order.sources),
        "asked_by": order.asked_by,
        "reason": order.reason,
        "filter": Jsonb(order.selection.as_json()),
        "rate_per_second": order.rate,
        "canary": order.canary,
    }
    session.execute(_QUERIES["begin"], parameters)
    return operation_id


def freeze(session: Session, operation_id: UUID, source: str, frozen: Frozen) -> None:
    """Freeze a source's items in one statement, after those that are frozen already."""
    query = _QUERIES["freeze"].replace("/* frozen */", frozen.query)
    session.execute(query, {**frozen.parameters, "operation_id": operation_id, "item_source": source})


def selected(session: Session, frozen: Frozen) -> list[Item]:
    """Return the items that `freeze` would keep, without keeping them."""
    return [Item(**row) for row in session.fetch_all(frozen.query, frozen.parameters)]


def lock(session: Session, operation_id: UUID) -> DictRow:
    """Return the operation and lock it until the transaction ends; raises NotFoundError."""
    return _found(session.fetch_one(_QUERIES["lock"], {"id": operation_id}), operation_id)


def open_items(session: Session, operation_id: UUID, *, source: str, after: int, limit: int) -> list[Item]:
    """Return the source's next items that have no result yet."""
    parameters = {"id": operation_id, "source": source, "after": after, "limit": limit}
    return [Item(**row) for row in session.fetch_all(_QUERIES["open_items"], parameters)]


def item_ids(session: Session, operation_id: UUID, *, source: str, results: Sequence[str]) -> list[str]:
    """Return the ids of the source's items with one of the results, in their order."""
    parameters = {"id": operation_id, "source": source, "results": list(results)}
    return [row["item_id"] for row in session.fetch_all(_QUERIES["item_ids"], parameters)]


def started_items(
    session: Session, operation_id: UUID, *, source: str, result: str, after: int, limit: int
) -> list[Item]:
    """Return the source's next items whose result says that their work was started."""
    parameters = {"id": operation_id, "source": source, "result": result, "after": after, "limit": limit}
    return [Item(**row) for row in session.fetch_all(_QUERIES["started_items"], parameters)]


def record(session: Session, operation_id: UUID, outcomes: Mapping[int, Outcome]) -> None:
    """Keep the outcomes of the items at these positions; a result that is kept already stays."""
    parameters = {
        "id": operation_id,
        "positions": list(outcomes),
        "results": [outcome.result for outcome in outcomes.values()],
        "details": [outcome.detail for outcome in outcomes.values()],
    }
    session.execute(_QUERIES["record"], parameters)


def record_ends(session: Session, operation_id: UUID, outcomes: Mapping[int, Outcome], *, started: str) -> None:
    """Keep the ends of the items at these positions in place of the result `started`."""
    parameters = {
        "id": operation_id,
        "started": started,
        "positions": list(outcomes),
        "results": [outcome.result for outcome in outcomes.values()],
        "details": [outcome.detail for outcome in outcomes.values()],
    }
    session.execute(_QUERIES["record_ends"], parameters)


def pace(session: Session, operation_id: UUID, *, start: datetime, gap_seconds: float, items: int) -> None:
    """Keep the due time up to which the operation has spread its items."""
    until = start + timedelta(seconds=gap_seconds * items)
    session.execute(_QUERIES["pace"], {"id": operation_id, "until": until})


def change_state(session: Session, operation_id: UUID, state: str) -> None:
    """Change the operation's state to open, stopped or ended."""
    session.execute(_QUERIES["change_state"], {"id": operation_id, "state": state})


def end_canary(session: Session, operation_id: UUID) -> None:
    """Keep that the canary has been decided, so that no run waits for it again."""
    session.execute(_QUERIES["end_canary"], {"id": operation_id})


def operation(session: Session, operation_id: UUID) -> DictRow:
    """Return one operation with the number of its open items; raises NotFoundError."""
    return _found(session.fetch_one(_QUERIES["operation"], {"id": operation_id}), operation_id)


def operations(session: Session, *, sources: Sequence[str], limit: int) -> list[DictRow]:
    """Return the newest operations on the sources, each with the number of its open items."""
    return session.fetch_all(_QUERIES["operations"], {"sources": list(sources), "limit": limit})


def results(session: Session, operation_id: UUID) -> dict[str, int]:
    """Count the operation's items by result; those without one are `open`."""
    rows = session.fetch_all(_QUERIES["results"], {"id": operation_id})
    return {row["result"]: row["items"] for row in rows}


def items(session: Session, operation_id: UUID) -> list[DictRow]:
    """Return every item with its result."""
    return session.fetch_all(_QUERIES["items"], {"id": operation_id})


def _found(row: DictRow | None, operation_id: UUID) -> DictRow:
    if row is None:
        raise NotFoundError(f"there is no operation {operation_id}", about="operation")
    return row
