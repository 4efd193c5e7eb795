"""Unfinished jobs as a source of operations: cancelled, or made due now."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Database, Session
from moneyflow.platform.jobs.failed import filters, job_items
from moneyflow.platform.jobs.failed.filters import Filter, filtered
from moneyflow.platform.jobs.store import FRAGMENTS, control
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
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

WAITING_JOBS = "waiting_jobs"
CANCEL, RUN_NOW = "cancel", "run-now"
_CANCELLED, _ASKED, _DUE = "cancelled", "asked to stop", "due now"
_STARTED = Outcome(result=ALREADY_DONE, detail="it has started since")
_UNFINISHED = frozenset({"scheduled", "queued", "running"})


def _end_of_cancel(item: Item) -> str:
    """Return what a cancel does to an item: a job that runs is asked to stop."""
    return _ASKED if item.content and item.content["state"] == "running" else _CANCELLED


_VERBS = {
    CANCEL: Verb(name=CANCEL, result=_CANCELLED, other_result=_ASKED, expected=_end_of_cancel),
    RUN_NOW: Verb(name=RUN_NOW, result=_DUE, is_paced=True, is_verified=True),
}


class WaitingJobs:
    """The source `waiting_jobs`: an item is an unfinished job, its guard the fence that it had."""

    name = WAITING_JOBS
    verbs: Mapping[str, Verb] = _VERBS

    def __init__(self, database: Database) -> None:
        self._database = database

    def freeze(self, order: Order) -> Frozen:
        """Return the query that freezes the jobs of ids, or the unfinished ones of a filter."""
        selection = order.selection
        if selection.ids:
            return Frozen(query=_QUERIES["by_id"], parameters={"ids": list(map(job_items.job_id, selection.ids))})
        chosen = job_items.filter_of(order)
        with self._database.transaction() as session:
            filters.check(session, chosen)
        return Frozen(query=filtered(_QUERIES["matching"], moment="enqueued_at"), parameters=chosen.parameters())

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Return why a job cannot be acted on: unknown, ended, asked already, or due already."""
        return job_items.judge(session, _QUERIES["jobs"], verb, items, by=_judged)

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Cancel the jobs that are still unfinished, or make those due that have not started since the freeze."""
        if chunk.verb == CANCEL:
            ends = control.cancel_many(session, [UUID(item.item_id) for item in chunk.items])
            return {item.position: _cancelled(ends.get(UUID(item.item_id))) for item in chunk.items}
        session.notify_after_commit()
        return job_items.act(session, _QUERIES["run_now"], chunk, done=Outcome(result=_DUE), otherwise=_STARTED)

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:
        """Return the jobs' states and last errors."""
        return job_items.verifications(session, item_ids)


def find(session: Session, chosen: Filter, *, limit: int) -> list[DictRow]:
    """Return the newest jobs that match, in any state, without their payloads.

    Raises:
        InvalidInputError, NotFoundError: the filter names a kind, group or batch that does not exist.
    """
    filters.check(session, chosen)
    return session.fetch_all(filtered(_QUERIES["find"], moment="enqueued_at"), {**chosen.parameters(), "limit": limit})


def _judged(verb: str, item: Item, job: DictRow | None) -> Outcome | None:
    """Return why nothing can be done about a job, or None."""
    if job is None:
        return Outcome(result=NOT_FOUND, detail="there is no such job")
    if job["state"] not in _UNFINISHED:
        is_there = verb == CANCEL and job["state"] == "cancelled"
        return Outcome(result=ALREADY_DONE if is_there else WRONG_STATE, detail=f"it is {job['state']}")
    if verb == CANCEL:
        return Outcome(result=ALREADY_DONE, detail="it was asked to stop") if job["is_asked"] else None
    return _cannot_run(item, job)


def _cannot_run(item: Item, job: DictRow) -> Outcome | None:
    """Return why an unfinished job is not made due: it has started, is due, or waits for more than its time."""
    if job["state"] != "scheduled" or str(job["fence"]) != item.guard:
        return Outcome(result=ALREADY_DONE, detail=f"it is {job['state']}")
    if job["waits_for"] == "batch":
        return Outcome(result=WRONG_STATE, detail="it waits for the end of its batch")
    if job["is_due"]:
        waits = "its kind is paused" if job["is_paused"] else f"it waits for its {job['waits_for'] or 'turn'}"
        return Outcome(result=ALREADY_DONE, detail=f"it is due; {waits}")
    return None


def _cancelled(end: str | None) -> Outcome:
    """Return the outcome of a cancel; None says that the job ended before it."""
    if end is None:
        return Outcome(result=ALREADY_DONE, detail="it ended first")
    return Outcome(result=_CANCELLED if end == "cancelled" else _ASKED)
