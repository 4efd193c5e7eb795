"""Refused messages as a source of operations: moved to `jobs`, dropped, or put back on `jobs_failed`.

The frozen item keeps the message's bytes, so that nothing is lost when RabbitMQ forgets it. Before a chunk is moved or
dropped, its items are marked: a run that is resumed after a kill takes a marked item that is no longer on the queue as
done, and an unmarked one as done by another operator.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from psycopg.types.json import Jsonb

from moneyflow.platform.brokers.failed_message import FailedMessage
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.failed.failed_jobs import DISCARD, REPLAY, RESTORE
from moneyflow.platform.jobs.failed.filters import Filter, unknown_group
from moneyflow.platform.jobs.failed.refused_messages import Refused, find, refused
from moneyflow.platform.operations.sources import (
    ALREADY_DONE,
    NOT_FOUND,
    Chunk,
    Frozen,
    Item,
    Order,
    Outcome,
    Verb,
    Verification,
)
from moneyflow.platform.queries import load_queries

if TYPE_CHECKING:  # PERF: kombu takes longer to import than most commands take to run.
    from moneyflow.platform.brokers.failed_queue import FailedQueue

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

REFUSED_MESSAGES = "refused_messages"
#: Messages that are moved or dropped in one pass over the queue; a pass reads all that is on it.
_PASS_ITEMS = 10_000
#: Messages that are put back in one transaction, each with a confirm of RabbitMQ.
_RESTORED_ITEMS = 100
_VERBS = {
    REPLAY: Verb(name=REPLAY, result="replayed", chunk_items=_PASS_ITEMS),
    DISCARD: Verb(name=DISCARD, result="discarded", chunk_items=_PASS_ITEMS),
    RESTORE: Verb(name=RESTORE, result="restored", chunk_items=_RESTORED_ITEMS),
}
_GONE = Outcome(result=ALREADY_DONE, detail="it is no longer on jobs_failed")


class RefusedMessages:
    """The source `refused_messages`: an item is a message, named by its fingerprint."""

    name = REFUSED_MESSAGES
    verbs: Mapping[str, Verb] = _VERBS

    def __init__(self, database: Database, open_queue: "Callable[[], FailedQueue]") -> None:
        self._database = database
        self._open_queue = open_queue

    def freeze(self, order: Order) -> Frozen:
        """Read the queue and return the query of the messages that match, or of those that an operation discarded."""
        selection = order.selection
        if selection.operation:
            return Frozen(query=_QUERIES["discarded"], parameters={"origin": selection.operation})
        if order.verb == RESTORE:
            raise InvalidInputError("refused messages are restored by the operation that discarded them; give its id")
        chosen = selection.criteria if isinstance(selection.criteria, Filter) else Filter()
        with self._open_queue() as queue:
            found = find(self._database, queue, chosen, fingerprints=selection.ids)
        unknown_group(chosen.groups, {one.group for one in found}, among="the refused messages")
        kept: list[tuple[str, Jsonb | None]] = [
            (one.message.fingerprint, Jsonb(one.message.as_json())) for one in found
        ]
        missing = set(selection.ids) - {fingerprint for fingerprint, _ in kept}
        kept += [(fingerprint, None) for fingerprint in sorted(missing)]
        parameters = {"fingerprints": [name for name, _ in kept], "contents": [content for _, content in kept]}
        return Frozen(query=_QUERIES["found"], parameters=parameters)

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:  # noqa: ARG002 - protocol
        """Return which messages were not on the queue at the freeze."""
        absent = Outcome(result=NOT_FOUND, detail="there is no such message on jobs_failed")
        return {item.position: absent for item in items if item.content is None}

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Move the messages to `jobs`, drop them, or put them back on `jobs_failed`."""
        return self._restore(session, chunk) if chunk.verb == RESTORE else self._take(session, chunk)

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:  # noqa: ARG002 - protocol
        """Return nothing: no verb of a message starts work that is known by the message's name."""
        return []

    def _take(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Move or drop what is still on the queue, in one pass over it."""
        session.commit()  # A pass over the queue may take longer than a transaction may stay idle.
        names = {item.item_id for item in chunk.items}
        with self._open_queue() as queue, queue.browse() as batches:
            taken = _matched(chunk.items, refused(self._database, batches, Filter(), fingerprints=names))
            acted = {*taken, *self._mark(session, chunk, taken)}
            session.commit()
            _carry_out(queue, chunk.verb, taken.values())
        done = Outcome(result=_VERBS[chunk.verb].result)
        return {item.position: done if item.position in acted else _GONE for item in chunk.items}

    def _mark(self, session: Session, chunk: Chunk, taken: Collection[int]) -> list[int]:
        """Mark the items on which this run acts next, and return those that a killed run had marked."""
        positions = [item.position for item in chunk.items]
        rows = session.fetch_all(_QUERIES["marked"], {"id": chunk.operation_id, "positions": positions})
        session.execute(_QUERIES["mark"], {"id": chunk.operation_id, "positions": list(taken)})
        return [row["position"] for row in rows]

    def _restore(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Put messages back that are still discarded, and keep with the discard that they were restored."""
        places = {item.position: _place(item) for item in chunk.items}
        asked = {"ids": [id_ for id_, _ in places.values()], "positions": [place for _, place in places.values()]}
        held = {(row["operation_id"], row["position"]) for row in session.fetch_all(_QUERIES["lock_discarded"], asked)}
        with self._open_queue() as queue:
            for item in chunk.items:
                if places[item.position] in held and item.content:
                    queue.put_back(FailedMessage.from_json(item.content))
        session.execute(_QUERIES["mark_restored"], asked)
        done, again = (
            Outcome(result=_VERBS[RESTORE].result),
            Outcome(result=ALREADY_DONE, detail="it was restored before"),
        )
        return {position: done if place in held else again for position, place in places.items()}


def _matched(items: Sequence[Item], batches: Iterable[Sequence[Refused]]) -> dict[int, FailedMessage]:
    """Return the queue's message of each item; of equal messages each serves one item."""
    waiting: defaultdict[str, deque[int]] = defaultdict(deque)
    for item in items:
        waiting[item.item_id].append(item.position)
    matched: dict[int, FailedMessage] = {}
    for one in chain.from_iterable(batches):
        if positions := waiting[one.message.fingerprint]:
            matched[positions.popleft()] = one.message
        if len(matched) == len(items):
            break
    return matched


def _carry_out(queue: "FailedQueue", verb: str, messages: Collection[FailedMessage]) -> None:
    if verb == DISCARD:
        queue.remove(messages)
        return
    for message in messages:
        queue.move_to_jobs(message)


def _place(item: Item) -> tuple[UUID, int]:
    """Return operation and position of the discard, which are the guard of a message that is restored."""
    operation, _, position = str(item.guard).partition(":")
    return UUID(operation), int(position)
