"""Operations on many items: a set that is frozen first, then chunks that commit with their results.

1. `freeze` keeps who asks and why, and freezes the set. What a source gets later is in no earlier set.
2. `run` takes the open items in their order, a chunk in each transaction: the source judges them, acts on those that
   it can act on, and each result commits with the act.
3. Killed at any point, the operation stays `open`, and `run` continues after the last committed chunk. Two operations
   on one item act on it once: for the second one the guard no longer holds.
4. A canary goes first. The others follow when all of it has succeeded; otherwise the operation is `stopped`.
5. Where a verb only starts work (`Ends`), the operation waits for the end of it, which becomes the item's result.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, InvalidInputError, NotFoundError
from moneyflow.platform.operations import ends, store
from moneyflow.platform.operations.ends import END_SECONDS
from moneyflow.platform.operations.reports import Preview, PreviewedItem, Progress, Report
from moneyflow.platform.operations.sources import (
    ALREADY_DONE,
    Chunk,
    Item,
    Order,
    Outcome,
    Source,
    UnconfirmedError,
    Verb,
    Verification,
)

#: Seconds between two looks at a canary; a fifth of a second is short for an operator and cheap for Postgres.
_CANARY_POLL_SECONDS = 0.2
#: Items that one query of a preview judges.
_PREVIEW_ITEMS = 1000
#: Seconds for which an operation waits for its canary.
CANARY_SECONDS = 900


class Operations:
    """Previews, freezes, runs and reports operations on the items of its sources."""

    def __init__(self, database: Database, sources: Iterable[Source]) -> None:
        self._database = database
        self._sources = {source.name: source for source in sources}
        verbs = [verb for source in self._sources.values() for verb in source.verbs.values()]
        self.done_results = frozenset({ALREADY_DONE, *(result for verb in verbs for result in verb.done_results)})

    def preview(self, order: Order) -> Preview:
        """Return the outcome that each item of the order would have; keeps and changes nothing."""
        items = [
            PreviewedItem(source=name, item=item, outcome=outcome)
            for name in order.sources
            for item, outcome in self._previewed(name, order)
        ]
        started = {self._verb(name, order.verb).result for name in order.sources}
        return Preview(items=items, done=self.done_results | started)

    def takes_canary(self, order: Order) -> bool:
        """Return whether the order starts work that a canary can verify; raises InvalidInputError."""
        verbs = [self._verb(name, order.verb) for name in order.sources]
        return len(verbs) == 1 and verbs[0].is_verified

    def freeze(self, order: Order, *, confirmed: int | None = None) -> UUID:
        """Freeze the order's items and return the id of the operation, which `run` carries out.

        `confirmed` is the number of items that an operator has confirmed; None is any number.

        Raises:
            InvalidInputError: a source does not support the order, or cannot read its selection.
            UnconfirmedError: there are more items, and no canary goes first; nothing is kept.
        """
        if not self.takes_canary(order) and order.canary:
            what = f"a {order.verb} of {' and '.join(order.sources)}"
            raise InvalidInputError(f"{what} starts no work that a canary could verify; leave the canary out")
        frozen = {name: self._sources[name].freeze(order) for name in order.sources}
        with self._database.transaction() as session:
            operation_id = store.begin(session, order)
            for name, rows in frozen.items():
                store.freeze(session, operation_id, name, rows)
            items = store.operation(session, operation_id)["items"]
            if confirmed is not None and items > confirmed and not order.canary:
                raise UnconfirmedError(order, items)
        return operation_id

    def resume(self, operation_id: UUID, *, verb: str) -> None:
        """Let `run` continue an operation that was killed, or that its canary had stopped.

        Raises:
            NotFoundError: there is no such operation on these sources.
            ConflictError: it is of another verb.
        """
        with self._database.transaction() as session:
            operation = store.lock(session, operation_id)
            self._check_sources(operation)
            if operation["verb"] != verb:
                raise ConflictError(
                    f"operation {operation_id} is a {operation['verb']}, not a {verb}: resume it as such"
                )
            if operation["state"] == "stopped":
                store.end_canary(session, operation_id)
                store.change_state(session, operation_id, "open")

    def run(
        self, operation_id: UUID, *, canary_seconds: float = CANARY_SECONDS, end_seconds: float = END_SECONDS
    ) -> Iterator[Progress]:
        """Act on the open items and yield the progress after each chunk, then wait for the ends of what it started.

        A canary that has not ended after `canary_seconds` counts as failed. Afterwards the operation's state is
        `ended`, or `stopped` by its canary. It waits until no work has ended for `end_seconds`; what ends later is in
        a later report.
        """
        operation = self._read(operation_id)
        yield _progress(operation)
        if operation["canary"] and operation["canary_ended_at"] is None:
            for waiting in self._canary(operation, seconds=canary_seconds):
                yield Progress(
                    done=min(operation["canary"], operation["items"]), items=operation["items"], waiting=waiting
                )
            operation = self._read(operation_id)
        if operation["state"] == "stopped":
            return
        done = _progress(operation).done
        for acted in self._chunks(operation):
            done += acted
            yield Progress(done=done, items=operation["items"])
        with self._database.transaction() as session:
            store.change_state(session, operation_id, "ended")
            operation = store.operation(session, operation_id)
        yield from ends.wait(self._database, operation, self._verbs(operation), seconds=end_seconds)

    def report(self, operation_id: UUID) -> Report:
        """Return what the operation has done so far; raises NotFoundError."""
        operation = self._read(operation_id)
        ends.keep(self._database, operation, self._verbs(operation))
        with self._database.transaction() as session:
            return Report(
                operation=operation,
                results=store.results(session, operation_id),
                items=store.items(session, operation_id),
                canary=self._unsuccessful(session, operation) if operation["state"] == "stopped" else [],
                done=self.done_results,
            )

    def recent(self, *, limit: int) -> list[DictRow]:
        """Return the newest operations on these sources, each with the number of its open items."""
        with self._database.transaction() as session:
            return store.operations(session, sources=tuple(self._sources), limit=limit)

    def _previewed(self, name: str, order: Order) -> Iterator[tuple[Item, Outcome]]:
        source, verb = self._sources[name], self._verb(name, order.verb)
        frozen = source.freeze(order)
        with self._database.transaction() as session:
            items = store.selected(session, frozen)
            for first in range(0, len(items), _PREVIEW_ITEMS):
                part = items[first : first + _PREVIEW_ITEMS]
                judged = source.judge(session, verb.name, part)
                yield from ((item, judged.get(item.position, verb.outcome(item))) for item in part)

    def _canary(self, operation: DictRow, *, seconds: float) -> Iterator[int]:
        """Act on the canary and yield how many of its items have not ended, until it has succeeded or is stopped."""
        operation_id, (name,) = operation["id"], operation["sources"]
        self._act_on_canary(operation_id, name, size=operation["canary"], verb=operation["verb"])
        deadline = time.monotonic() + seconds
        while True:
            with self._database.transaction() as session:
                verifications = self._verifications(session, operation, name)
                verdicts = Counter(verification.has_succeeded for verification in verifications)
                if verdicts[True] == len(verifications):
                    store.end_canary(session, operation_id)
                    return
                if verdicts[False] or time.monotonic() > deadline:
                    store.change_state(session, operation_id, "stopped")
                    return
            yield verdicts[None]
            time.sleep(_CANARY_POLL_SECONDS)

    def _act_on_canary(self, operation_id: UUID, name: str, *, size: int, verb: str) -> None:
        """Act on items until the verb was applied to `size` of them, or no item is open."""
        applied = self._verb(name, verb).applied_results
        while True:
            with self._database.transaction() as session:
                results = store.results(session, operation_id)
            missing = size - sum(results.get(result, 0) for result in applied)
            if missing <= 0 or not self._act(operation_id, name, after=0, limit=missing):
                return

    def _chunks(self, operation: DictRow) -> Iterator[int]:
        """Act on the open items of each source and yield how many items each chunk had."""
        for name in operation["sources"]:
            verb = self._verb(name, operation["verb"])
            rate = None if verb.is_paced else operation["rate_per_second"]
            limit, after = max(1, min(verb.chunk_items, int(rate))) if rate else verb.chunk_items, 0
            while positions := self._act(operation["id"], name, after=after, limit=limit):
                after = positions[-1]
                yield len(positions)
                if rate:
                    time.sleep(len(positions) / rate)

    def _act(self, operation_id: UUID, name: str, *, after: int, limit: int) -> list[int]:
        """Act on the next chunk of a source and keep its results in one transaction; return its positions."""
        source = self._sources[name]
        with self._database.transaction() as session:
            operation = store.lock(session, operation_id)
            items = store.open_items(session, operation_id, source=name, after=after, limit=limit)
            judged = source.judge(session, operation["verb"], items)
            chunk = _chunk(operation, [item for item in items if item.position not in judged])
            if chunk.gap_seconds and self._verb(name, chunk.verb).is_paced:
                gap, count = chunk.gap_seconds, len(chunk.items)
                store.pace(session, operation_id, start=chunk.due_from, gap_seconds=gap, items=count)
            acted = source.act(session, chunk) if chunk.items else {}
            store.record(session, operation_id, {**judged, **acted})
        return [item.position for item in items]

    def _unsuccessful(self, session: Session, operation: DictRow) -> list[Verification]:
        return [
            verification
            for name in operation["sources"]
            for verification in self._verifications(session, operation, name)
            if not verification.has_succeeded
        ]

    def _verifications(self, session: Session, operation: DictRow, name: str) -> list[Verification]:
        applied = self._verb(name, operation["verb"]).applied_results
        ids = store.item_ids(session, operation["id"], source=name, results=applied)
        return self._sources[name].verify(session, ids)

    def _read(self, operation_id: UUID) -> DictRow:
        with self._database.transaction() as session:
            operation = store.operation(session, operation_id)
        self._check_sources(operation)
        return operation

    def _check_sources(self, operation: DictRow) -> None:
        if not self._sources.keys() >= set(operation["sources"]):
            of, known = " and ".join(operation["sources"]), " or ".join(self._sources)
            raise NotFoundError(f"operation {operation['id']} is of {of}, not of {known}", about="operation")

    def _verbs(self, operation: DictRow) -> dict[str, Verb]:
        return {name: self._verb(name, operation["verb"]) for name in operation["sources"]}

    def _verb(self, source: str, verb: str) -> Verb:
        """Return a verb that a source has registered; raises InvalidInputError."""
        if source not in self._sources or verb not in self._sources[source].verbs:
            raise InvalidInputError(f"{source} supports no {verb}")
        return self._sources[source].verbs[verb]


def _progress(operation: DictRow) -> Progress:
    return Progress(done=operation["items"] - operation["open_items"], items=operation["items"])


def _chunk(operation: DictRow, items: list[Item]) -> Chunk:
    rate = operation["rate_per_second"]
    return Chunk(
        operation_id=operation["id"],
        verb=operation["verb"],
        items=items,
        due_from=operation["paced_from"],
        gap_seconds=1 / rate if rate else 0,
    )
