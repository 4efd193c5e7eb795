"""Positions of sinks as a source of operations: skipped forward, out of a gap too, or rewound.

An item is a sink's partition; its content has the offsets from and to, what Kafka had, and the gap. The move takes a
new epoch, so that a consumer that runs begins again at the new position.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.events import warnings
from moneyflow.platform.operations.sources import (
    ALREADY_DONE,
    NOT_FOUND,
    WRONG_STATE,
    Chunk,
    Frozen,
    Item,
    Order,
    Outcome,
    Verb,
    Verification,
)
from moneyflow.platform.settings import KafkaSettings
from moneyflow.platform.sinks.positions import rows
from moneyflow.platform.sinks.positions.rows import POSITIONS, REWIND, SKIP, Place, Row
from moneyflow.platform.sinks.positions.targets import Target, moves

_VERBS = {SKIP: Verb(name=SKIP, result="skipped"), REWIND: Verb(name=REWIND, result="rewound")}
_QUERY = (
    "select position::integer as position, item_id, guard, content "
    "from unnest(%(items)s::text[], %(guards)s::text[], %(contents)s::jsonb[]) "
    "with ordinality as found (item_id, guard, content, position)"
)


class Positions:
    """The source `positions`."""

    name = POSITIONS
    verbs: Mapping[str, Verb] = _VERBS

    def __init__(self, settings: KafkaSettings, database: Database) -> None:
        self._settings = settings
        self._database = database

    def freeze(self, order: Order) -> Frozen:
        """Ask Kafka where each partition of the target would move, and return the query that keeps it."""
        target = order.selection.criteria
        if not isinstance(target, Target):
            raise InvalidInputError("a position moves to a target: give a sink")
        with self._database.transaction() as session:
            rows.check_sink(session, target.sink)
            chosen = target.chosen(rows.read(session, [target.sink]))
        found = moves(self._settings, target, chosen, verb=order.verb)
        parameters = {
            "items": [str(move.row.place) for move in found],
            "guards": [str(move.row.epoch) for move in found],
            "contents": [Jsonb(move.as_json()) for move in found],
        }
        return Frozen(query=_QUERY, parameters=parameters)

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Return which positions are not there, or are where the move would take them."""
        judged = {item.position: _judged(verb, rows.find(session, Place.of(item.item_id)), item) for item in items}
        return {position: outcome for position, outcome in judged.items() if outcome is not None}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Move the positions; one that another operator has moved first stays."""
        return {item.position: _act(session, chunk.verb, item) for item in chunk.items}

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:  # noqa: ARG002 - protocol
        """Return nothing: a move is done when it is committed."""
        return []


def _judged(verb: str, row: Row | None, item: Item) -> Outcome | None:
    if row is None:
        return Outcome(result=NOT_FOUND, detail="the sink has no position there")
    to, newest = _content(item)["to"], _content(item)["newest"]
    if verb == REWIND:
        if row.gap:
            return Outcome(result=WRONG_STATE, detail=f"it is stopped by a gap; skip it first: {row.gap}")
        is_there = row.next_offset is None or row.next_offset <= to
        return Outcome(result=ALREADY_DONE, detail=f"it is at {row.next_offset}") if is_there else None
    is_behind = row.next_offset is None or row.next_offset < to or row.next_offset > newest
    return None if row.gap or is_behind else Outcome(result=ALREADY_DONE, detail=f"it is at {row.next_offset}")


def _act(session: Session, verb: str, item: Item) -> Outcome:
    content, place = _content(item), Place.of(item.item_id)
    has_moved = (
        rows.skip(session, place, to=content["to"], newest=content["newest"])
        if verb == SKIP
        else rows.rewind(session, place, to=content["to"])
    )
    detail = f"from {content['from']} to {content['to']}"
    if has_moved and verb == SKIP:
        _warn(session, place, content)
    if has_moved:
        return Outcome(result=_VERBS[verb].result, detail=detail)
    return Outcome(result=ALREADY_DONE, detail="another operator moved it first")


def _warn(session: Session, place: Place, content: dict[str, Any]) -> None:
    """Emit that the sink does not have some records: others who rely on it see that in the events."""
    warnings.warn(
        session,
        code="records_skipped",
        message=f"An operator let {place.sink} skip records of {place.topic} {place.partition}, which it does not have",
        subject=f"{place} {content['to']}",
        details={
            "sink": place.sink,
            "topic": place.topic,
            "partition": place.partition,
            "from": content["from"],
            "to": content["to"],
        },
    )


def _content(item: Item) -> dict[str, Any]:
    assert item.content is not None, "the freeze has kept it"
    return item.content
