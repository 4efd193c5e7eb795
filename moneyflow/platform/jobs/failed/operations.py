"""Replay, discard or restore many jobs: a set that is frozen first, then done in pieces that commit with their results.

1. `begin` keeps who asks and why, and freezes the set in one statement. What fails later is in no earlier set.
2. `run` takes the items in their order, a thousand in a transaction: what the contract here cannot read is told and
   left as it is, the others change where their fence is still the frozen one, and each result is kept with the change.
3. Killed at any point, the operation is `open`, and `run` goes on where it stopped. Two operations on one job change
   it once: the second finds another fence.
4. A canary goes first: the others follow when all of it has succeeded, and else the operation is `stopped`.

A replay with a rate is paced by due times: the jobs wait in Postgres, and the operation itself is done at once.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, PermanentError, UnknownVersionError
from moneyflow.platform.jobs.contract import registry
from moneyflow.platform.jobs.failed import store as ledger
from moneyflow.platform.jobs.failed.store import Item, Order, Verb

_CHUNK = 1000
_LOOK_EVERY_SECONDS = 0.2
_ENDED = frozenset({"succeeded", "failed", "cancelled", "discarded"})


class Result(StrEnum):
    """What became of one job of a set."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    RESTORED = "restored"
    ALREADY_DONE = "already done"
    UNKNOWN_KIND = "unknown kind"
    UNKNOWN_VERSION = "unknown version"
    INVALID_PAYLOAD = "invalid payload"
    WRONG_STATE = "wrong state"
    NOT_FOUND = "not found"


#: Those that leave nothing to be done.
DONE = frozenset({Result.REPLAYED, Result.DISCARDED, Result.RESTORED, Result.ALREADY_DONE})
_DONE_BY = {Verb.REPLAY: Result.REPLAYED, Verb.DISCARD: Result.DISCARDED, Verb.RESTORE: Result.RESTORED}
_FASTER = (Result.ALREADY_DONE, "somebody else was faster")

Told = tuple[Result, str | None]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an operation has come; `waiting` counts the jobs of its canary that have not ended."""

    done: int
    items: int
    waiting: int = 0


def begin(database: Database, order: Order) -> UUID:
    """Freeze the set of the order and return the operation that `run` carries out."""
    with database.transaction() as session:
        operation_id = ledger.begin(session, order)
        ledger.freeze(session, operation_id, order)
    return operation_id


def resume(database: Database, operation_id: UUID, *, verb: Verb) -> None:
    """Let `run` go on with an operation that was killed, or that its canary had stopped.

    Raises:
        NotFoundError: there is no such operation.
        ConflictError: it does something else, or is about messages that have no job.
    """
    with database.transaction() as session:
        operation = ledger.lock(session, operation_id)
        if operation["verb"] != verb:
            raise ConflictError(f"operation {operation_id} is a {operation['verb']}; go on with that command")
        if operation["filter"].get("refused"):
            raise ConflictError(
                f"operation {operation_id} is about messages that RabbitMQ had set aside, and what was not done still "
                "lies there: give the same command again instead of --resume"
            )
        if operation["state"] == "stopped":
            ledger.end_canary(session, operation_id)
            ledger.change_state(session, operation_id, "open")


def run(database: Database, operation_id: UUID, *, canary_seconds: float) -> Iterator[Progress]:
    """Do what is left of the operation, and yield how far it has come.

    A canary that has not ended after `canary_seconds` counts as one that failed. Read the operation's state
    afterwards: `ended`, or `stopped` by its canary.
    """
    operation = _read(database, operation_id)
    total, done = operation["items"], operation["items"] - operation["open_items"]
    yield Progress(done=done, items=total)
    if operation["canary"] and operation["canary_ended_at"] is None:
        for waiting in _canary(database, operation, seconds=canary_seconds):
            yield Progress(done=min(operation["canary"], total), items=total, waiting=waiting)
        operation = _read(database, operation_id)
        done = operation["items"] - operation["open_items"]
    if operation["state"] == "stopped":
        return
    for chunk in _chunks(database, operation):
        done += chunk
        yield Progress(done=done, items=total)
    with database.transaction() as session:
        ledger.change_state(session, operation_id, "ended")


def preview(session: Session, order: Order) -> Iterator[tuple[Item, Told]]:
    """Yield what would happen to each job that the order means; keeps and changes nothing."""
    for item in ledger.candidates(session, order):
        yield item, _judged(order.verb, item) or (_DONE_BY[order.verb], None)


def is_done(results: Mapping[str, int]) -> bool:
    """Say whether all that was asked for has been done, by the operation or by somebody else."""
    return all(result in DONE for result, items in results.items() if items)


def unsuccessful_canary(session: Session, operation_id: UUID) -> list[DictRow]:
    """Return the jobs of the canary that have not succeeded, those that have not ended too."""
    return [job for job in ledger.canary(session, operation_id) if job["state"] != "succeeded"]


def _canary(database: Database, operation: DictRow, *, seconds: float) -> Iterator[int]:
    """Replay the canary and wait for it; yields how many of its jobs have not ended. It ends `stopped`, or noted."""
    operation_id, deadline = operation["id"], time.monotonic() + seconds
    while (missing := operation["canary"] - _replayed(database, operation_id)) > 0:
        if not _chunk(database, operation_id, after=0, limit=missing):
            break
    while True:
        with database.transaction() as session:
            jobs = ledger.canary(session, operation_id)
            waiting = sum(job["state"] not in _ENDED for job in jobs)
            if waiting == 0 and all(job["state"] == "succeeded" for job in jobs):
                ledger.end_canary(session, operation_id)
                return
            if any(job["state"] in _ENDED - {"succeeded"} for job in jobs) or time.monotonic() > deadline:
                ledger.change_state(session, operation_id, "stopped")
                return
        yield waiting
        time.sleep(_LOOK_EVERY_SECONDS)


def _chunks(database: Database, operation: DictRow) -> Iterator[int]:
    """Act on what is left, and yield how many items each transaction has settled."""
    rate = operation["rate_per_second"] if operation["verb"] != Verb.REPLAY else None
    limit, after = max(1, min(_CHUNK, int(rate))) if rate else _CHUNK, 0
    while positions := _chunk(database, operation["id"], after=after, limit=limit):
        after = positions[-1]
        yield len(positions)
        if rate:
            time.sleep(len(positions) / rate)


def _chunk(database: Database, operation_id: UUID, *, after: int, limit: int) -> list[int]:
    """Act on the next items and keep their results, in one transaction; return their positions."""
    with database.transaction() as session:
        operation = ledger.lock(session, operation_id)
        verb = Verb(operation["verb"])
        items = ledger.next_items(session, operation_id, after=after, limit=limit)
        told = {item.position: _judged(verb, item) for item in items}
        changed = _act(session, operation, [item for item in items if told[item.position] is None])
        done = (_DONE_BY[verb], None)
        results = {
            item.position: told[item.position] or (done if item.job_id in changed else _FASTER) for item in items
        }
        ledger.record(session, operation_id, results)
    return [item.position for item in items]


def _act(session: Session, operation: DictRow, items: Sequence[Item]) -> set[UUID]:
    if operation["verb"] == Verb.DISCARD:
        return ledger.discard(session, items)
    if operation["verb"] == Verb.RESTORE:
        return ledger.restore(session, items)
    start, gap_seconds = (
        operation["paced_from"],
        1 / operation["rate_per_second"] if operation["rate_per_second"] else 0,
    )
    if gap_seconds:
        ledger.pace(session, operation["id"], start=start, gap_seconds=gap_seconds, jobs=len(items))
    return ledger.replay(session, items, start=start, gap_seconds=gap_seconds)


def _judged(verb: Verb, item: Item) -> Told | None:
    """Say why nothing is to be done about an item; None when it can be done."""
    if item.state is None:
        return Result.NOT_FOUND, "there is no such job"
    if item.state != verb.from_state or item.fence != item.fence_now:
        return _in_another_state(verb, item)
    return _unreadable(item) if verb is Verb.REPLAY else None


def _in_another_state(verb: Verb, item: Item) -> Told:
    match verb, item.state:
        case (Verb.REPLAY, "failed"):
            return Result.ALREADY_DONE, "it was replayed, and has failed again since"
        case (Verb.REPLAY, "discarded" | "cancelled"):
            return Result.WRONG_STATE, f"it is {item.state}" + (
                "; restore it first" if item.state == "discarded" else ""
            )
        case (Verb.DISCARD, "discarded") | (Verb.RESTORE, "failed"):
            return Result.ALREADY_DONE, f"it is {item.state}"
        case (Verb.REPLAY, _):
            return Result.ALREADY_DONE, f"it is {item.state}"
    return Result.WRONG_STATE, f"it is {item.state}" + (
        "" if item.state != "failed" else " anew, since it was replayed"
    )


def _unreadable(item: Item) -> Told | None:
    """Say why no worker of this version could run the job; None when one can."""
    assert item.kind is not None
    assert item.version is not None
    assert item.payload is not None
    contract = registry.get(item.kind)
    if contract is None:
        return Result.UNKNOWN_KIND, f"no job here is called {item.kind}; use the version that the workers run"
    try:
        contract.from_payload(item.payload, item.version)
    except UnknownVersionError as error:
        return Result.UNKNOWN_VERSION, error.detail
    except PermanentError as error:
        return Result.INVALID_PAYLOAD, error.detail
    return None


def _replayed(database: Database, operation_id: UUID) -> int:
    with database.transaction() as session:
        return ledger.results(session, operation_id).get(Result.REPLAYED, 0)


def _read(database: Database, operation_id: UUID) -> DictRow:
    with database.transaction() as session:
        return ledger.operation(session, operation_id)
