"""Dead letters of events as a source of operations: reprocessed by their sink's consumer, discarded, restored.

An item's guard is how often its sink had failed on it at the freeze: nothing happens to one that has failed since.
A reprocess makes a dead letter due; the consumer that owns its partition writes it, and the item's result follows.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events import dead_letters
from moneyflow.platform.ids import parse_id
from moneyflow.platform.operations.sources import (
    ACTED_MEANWHILE,
    ALREADY_DONE,
    NOT_FOUND,
    WRONG_STATE,
    Chunk,
    Ends,
    Frozen,
    Item,
    Order,
    Outcome,
    Verb,
    Verification,
)
from moneyflow.platform.queries import load_queries
from moneyflow.platform.sinks.dead_letters.filters import Filter, State, check, filtered

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

DEAD_LETTERS = "dead_letters"
REPROCESS, DISCARD, RESTORE = "reprocess", "discard", "restore"
_DUE, _REPROCESSED, _DEAD_AGAIN = "due", "reprocessed", "dead again"
#: The state in which a dead letter must be for a verb, and the one in which it is afterwards.
_FROM: dict[str, State] = {REPROCESS: "dead", DISCARD: "dead", RESTORE: "discarded"}
_TO: dict[str, State] = {REPROCESS: "reprocessed", DISCARD: "discarded", RESTORE: "dead"}
#: Why nothing can be done about one in another state, where its state alone does not say it.
_WHY = {
    "waiting": "it waits for an earlier record of its key, and follows it",
    "due": "it is due; the consumer of its sink takes it",
}


def _ends(session: Session, operation_id: UUID, items: Sequence[Item]) -> Mapping[int, Outcome]:
    """Return what became of dead letters that an operation has made due; those that are still due are left out."""
    rows = _rows(session, items)
    ends = {item.position: _end(operation_id, item, rows.get(item.item_id)) for item in items}
    return {position: outcome for position, outcome in ends.items() if outcome is not None}


_VERBS = {
    REPROCESS: Verb(
        name=REPROCESS,
        result=_DUE,
        is_paced=True,
        is_verified=True,
        ends=Ends(success=_REPROCESSED, failure=_DEAD_AGAIN, read=_ends),
    ),
    DISCARD: Verb(name=DISCARD, result="discarded"),
    RESTORE: Verb(name=RESTORE, result="restored"),
}


class DeadLetters:
    """The source `dead_letters`."""

    name = DEAD_LETTERS
    verbs: Mapping[str, Verb] = _VERBS

    def __init__(self, database: Database) -> None:
        self._database = database

    def freeze(self, order: Order) -> Frozen:
        """Return the query that freezes those of ids, of another operation's discard, or of a filter."""
        selection = order.selection
        if selection.ids:
            return Frozen(query=_QUERIES["by_id"], parameters={"ids": list(map(dead_letter_id, selection.ids))})
        if selection.operation:
            return Frozen(query=_QUERIES["discarded"], parameters={"origin": selection.operation})
        chosen = selection.criteria if isinstance(selection.criteria, Filter) else Filter()
        state = _FROM[order.verb]
        with self._database.transaction() as session:
            check(session, chosen, state=state)
        return Frozen(query=filtered(_QUERIES["matching"]), parameters={**chosen.parameters(), "state": state})

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Return why a dead letter cannot be acted on: unknown, in another state, or failed again since."""
        rows = _rows(session, items)
        judged = {item.position: _judged(verb, item, rows.get(item.item_id)) for item in items}
        return {position: outcome for position, outcome in judged.items() if outcome is not None}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Change those that are still as they were frozen."""
        attempts = {UUID(item.item_id): int(item.guard or 0) for item in chunk.items}
        # Two operators who act on the same ones lock them in the same order.
        session.execute(_QUERIES["lock"], {"ids": sorted(attempts)})
        changed = set(map(str, _change(session, chunk, attempts)))
        done = Outcome(result=_VERBS[chunk.verb].result)
        return {item.position: done if item.item_id in changed else ACTED_MEANWHILE for item in chunk.items}

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:
        """Return the states and errors of dead letters, in the order of their ids."""
        ids = [UUID(text) for text in item_ids]
        return [_verification(row) for row in session.fetch_all(_QUERIES["verifications"], {"ids": ids})]


def dead_letter_id(text: str) -> UUID:
    """Return the id of a dead letter; raises InvalidInputError."""
    parsed = parse_id(text)
    if parsed is None:
        raise InvalidInputError(f"{text} is not the id of a dead letter", about="dead_letter")
    return parsed


def _change(session: Session, chunk: Chunk, attempts: Mapping[UUID, int]) -> set[UUID]:
    if chunk.verb == REPROCESS:
        return dead_letters.make_due(
            session,
            attempts,
            operation_id=chunk.operation_id,
            due_from=chunk.due_from,
            gap_seconds=chunk.gap_seconds,
        )
    return {DISCARD: dead_letters.discard, RESTORE: dead_letters.restore}[chunk.verb](session, attempts)


def _rows(session: Session, items: Sequence[Item]) -> dict[str, DictRow]:
    ids = [UUID(item.item_id) for item in items]
    return {str(row["id"]): row for row in session.fetch_all(_QUERIES["dead_letters"], {"ids": ids})}


def _judged(verb: str, item: Item, row: DictRow | None) -> Outcome | None:
    """Return why nothing can be done about a dead letter, or None."""
    if row is None:
        return Outcome(result=NOT_FOUND, detail="there is no such dead letter")
    if row["state"] != _FROM[verb]:
        return _in_another_state(verb, row["state"])
    if str(row["attempts"]) != item.guard:
        failed_again = f"it is {row['state']} again, since it was reprocessed"
        return Outcome(result=ALREADY_DONE if verb == REPROCESS else WRONG_STATE, detail=failed_again)
    return None


def _in_another_state(verb: str, state: str) -> Outcome:
    is_there = state == _TO[verb] or (verb == REPROCESS and state == "due")
    restore = "; restore it first" if verb == REPROCESS and state == "discarded" else ""
    return Outcome(result=ALREADY_DONE if is_there else WRONG_STATE, detail=_WHY.get(state, f"it is {state}{restore}"))


def _end(operation_id: UUID, item: Item, row: DictRow | None) -> Outcome | None:
    if row is None:
        return None
    attempts = row["attempts"] - int(item.guard or 0)
    if attempts > 0:
        error = f"{row['error_class']}: {row['error_message']}" if attempts == 1 else "its error was replaced since"
        return Outcome(result=_DEAD_AGAIN, detail=error)
    if row["state"] == "reprocessed" and row["due_by"] == operation_id:
        return Outcome(result=_REPROCESSED)
    return None


def _verification(row: DictRow) -> Verification:
    has_ended = row["state"] not in {"due", "waiting"}
    return Verification(
        item_id=str(row["id"]),
        state=row["state"],
        has_succeeded=row["state"] == "reprocessed" if has_ended else None,
        error_class=row["error_class"],
        error_message=row["error_message"],
    )
