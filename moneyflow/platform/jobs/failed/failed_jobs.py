"""Failed jobs as a source of operations: replayed, discarded and restored while their fence is the frozen one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import LiteralString

from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import UnknownVersionError, UnreadableError
from moneyflow.platform.jobs.contract import registry
from moneyflow.platform.jobs.failed import filters, job_items
from moneyflow.platform.jobs.failed.filters import DeadState, filtered
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.operations.sources import (
    ACTED_MEANWHILE,
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
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

JOBS = "jobs"
REPLAY, DISCARD, RESTORE = "replay", "discard", "restore"
#: Replayed jobs are spread by due times in Postgres, so that the command itself ends at once.
_VERBS = {
    REPLAY: Verb(name=REPLAY, result="replayed", is_paced=True, is_verified=True),
    DISCARD: Verb(name=DISCARD, result="discarded"),
    RESTORE: Verb(name=RESTORE, result="restored"),
}
_UNKNOWN_KIND, _UNKNOWN_VERSION = "unknown kind", "unknown version"
_INVALID_PAYLOAD = "invalid payload"


class FailedJobs:
    """The source `jobs`: an item is a job, its guard is the fence of its failure."""

    name = JOBS
    verbs: Mapping[str, Verb] = _VERBS

    def __init__(self, database: Database) -> None:
        self._database = database

    def freeze(self, order: Order) -> Frozen:
        """Return the query that freezes the jobs of ids, of another operation's discard, or of a filter."""
        selection = order.selection
        if selection.ids:
            return Frozen(query=_QUERIES["by_id"], parameters={"ids": list(map(job_items.job_id, selection.ids))})
        if selection.operation:
            return Frozen(query=_QUERIES["discarded"], parameters={"origin": selection.operation})
        chosen = job_items.filter_of(order)
        state = from_state(order.verb)
        with self._database.transaction() as session:
            filters.check(session, chosen, state=state)
        return Frozen(query=filtered(_QUERIES["matching"]), parameters={**chosen.parameters(), "state": state})

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Return why a job cannot be acted on: unknown, in another state, failed again, or unreadable to workers."""
        return job_items.judge(session, _QUERIES["jobs"], verb, items, by=_judged)

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Change the jobs whose fence is still the frozen one."""
        if chunk.verb != DISCARD:
            session.notify_after_commit()
        done = Outcome(result=_VERBS[chunk.verb].result)
        return job_items.act(session, _act_query(chunk.verb), chunk, done=done, otherwise=ACTED_MEANWHILE)

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:
        """Return the jobs' states and last errors."""
        return job_items.verifications(session, item_ids)


def from_state(verb: str) -> DeadState:
    """Return the state in which a job must be for the verb."""
    return "discarded" if verb == RESTORE else "failed"


def _act_query(verb: str) -> LiteralString:
    return {REPLAY: _QUERIES["replay"], DISCARD: _QUERIES["discard"], RESTORE: _QUERIES["restore"]}[verb]


def _judged(verb: str, item: Item, job: DictRow | None) -> Outcome | None:
    """Return why nothing can be done about a job, or None."""
    if job is None:
        return Outcome(result=NOT_FOUND, detail="there is no such job")
    if job["state"] != from_state(verb):
        return _in_another_state(verb, job["state"])
    if str(job["fence"]) != item.guard:
        return _failed_again(verb, job["state"])
    return _unreadable(job) if verb == REPLAY else None


def _in_another_state(verb: str, state: str) -> Outcome:
    detail = f"it is {state}"
    if verb == REPLAY and state == "discarded":
        return Outcome(result=WRONG_STATE, detail=f"{detail}; restore it first")
    if verb == REPLAY and state == "cancelled":
        return Outcome(result=WRONG_STATE, detail=detail)
    is_there = verb == REPLAY or state == {DISCARD: "discarded", RESTORE: "failed"}[verb]
    return Outcome(result=ALREADY_DONE if is_there else WRONG_STATE, detail=detail)


def _failed_again(verb: str, state: str) -> Outcome:
    if verb == REPLAY:
        return Outcome(result=ALREADY_DONE, detail="it was replayed, and has failed again since")
    return Outcome(result=WRONG_STATE, detail=f"it is {state} again, since it was replayed")


def _unreadable(job: DictRow) -> Outcome | None:
    """Return why no worker of this version can run the job, or None."""
    contract = registry.get(job["kind"])
    if contract is None:
        detail = f"this version knows no job kind {job['kind']}; use the version that the workers run"
        return Outcome(result=_UNKNOWN_KIND, detail=detail)
    try:
        contract.from_payload(job["payload"], job["version"])
    except UnknownVersionError as error:
        return Outcome(result=_UNKNOWN_VERSION, detail=error.detail)
    except UnreadableError as error:
        return Outcome(result=_INVALID_PAYLOAD, detail=error.detail)
    return None
