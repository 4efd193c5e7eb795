"""Items that are jobs: what the sources of failed and of unfinished jobs share."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import parse_id
from moneyflow.platform.jobs.failed.filters import Filter
from moneyflow.platform.operations.sources import Chunk, Item, Order, Outcome, Verification
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))
_ENDED = frozenset({"succeeded", "failed", "cancelled", "discarded"})

#: Returns why nothing can be done about an item, whose job is None when there is none; or None.
Judge = Callable[[str, Item, DictRow | None], Outcome | None]


def job_id(text: str) -> UUID:
    """Return the id of an item; raises InvalidInputError."""
    parsed = parse_id(text)
    if parsed is None:
        raise InvalidInputError(f"{text} is not the id of a job", about="job")
    return parsed


def filter_of(order: Order) -> Filter:
    """Return the order's filter; an empty one takes all."""
    criteria = order.selection.criteria
    return criteria if isinstance(criteria, Filter) else Filter()


def judge(
    session: Session, query: LiteralString, verb: str, items: Sequence[Item], *, by: Judge
) -> Mapping[int, Outcome]:
    """Return the outcomes of items about which nothing can be done; `query` reads the jobs of `ids`."""
    ids = [UUID(item.item_id) for item in items]
    rows = {row["id"]: row for row in session.fetch_all(query, {"ids": ids})} if ids else {}
    judged = {item.position: by(verb, item, rows.get(UUID(item.item_id))) for item in items}
    return {position: outcome for position, outcome in judged.items() if outcome is not None}


def act(
    session: Session, query: LiteralString, chunk: Chunk, *, done: Outcome, otherwise: Outcome
) -> Mapping[int, Outcome]:
    """Run the statement for the jobs whose fence is the frozen one, and return who was changed and who was not."""
    parameters = {
        "ids": [UUID(item.item_id) for item in chunk.items],
        "fences": [int(item.guard or 0) for item in chunk.items],
        "start": chunk.due_from,
        "gap_seconds": chunk.gap_seconds,
    }
    changed = {str(row["id"]) for row in session.fetch_all(query, parameters)}
    return {item.position: done if item.item_id in changed else otherwise for item in chunk.items}


def verifications(session: Session, item_ids: Iterable[str]) -> list[Verification]:
    """Return the states and last errors of jobs, in the order of their ids."""
    ids = [UUID(text) for text in item_ids]
    return [_verification(row) for row in session.fetch_all(_QUERIES["verifications"], {"ids": ids})]


def _verification(row: DictRow) -> Verification:
    return Verification(
        item_id=str(row["id"]),
        state=row["state"],
        has_succeeded=row["state"] == "succeeded" if row["state"] in _ENDED else None,
        error_class=row["error_class"],
        error_message=row["error_message"],
    )
