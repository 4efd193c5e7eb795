"""Enqueue a job: a row in the caller's own transaction. No transaction, no job."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import structlog

from moneyflow.platform.database import Session
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import metrics
from moneyflow.platform.jobs.contract import Job
from moneyflow.platform.jobs.policy import Unique
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import in_lines

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: So many jobs go into one statement.
_ROWS_A_STATEMENT = 1000


def enqueue(session: Session, job: Job, *, at: datetime | None = None, delay: timedelta | None = None) -> UUID:
    """Insert the job in the session's transaction and return its id.

    It runs once the transaction is committed: at once, at the moment `at`, or after `delay`. When the job has a
    unique key and one with that key is there, nothing is inserted and the first job's id is returned.

    Raises:
        ValueError: when both `at` and `delay` are given, or `at` has no time zone.
    """
    return enqueue_many(session, [job], at=at, delay=delay)[0]


def enqueue_many(
    session: Session,
    jobs: Sequence[Job],
    *,
    at: datetime | None = None,
    delay: timedelta | None = None,
    priority: int | None = None,
    batch_id: UUID | None = None,
    waits_for_batch: bool = False,
    keys: Sequence[str] | None = None,
    unique: Unique | None = None,
) -> list[UUID]:
    """Insert the jobs as `enqueue` does, up to a thousand in a statement, and return their ids in the same order.

    Jobs of one call that share a unique key are one job. With `waits_for_batch` they are
    not published before the batch that they end releases them. `priority`, `keys` (one a job) and `unique` replace what
    the jobs' contracts say.
    """
    if at is not None and (delay is not None or at.tzinfo is None):
        raise ValueError("give either `at`, with a time zone, or `delay`")
    asked_by = origin.current()
    shared = {
        "at": at,
        "delay_seconds": delay.total_seconds() if delay else 0.0,
        "batch_id": batch_id,
        "waits_for": "batch" if waits_for_batch else None,
        "priority": priority,
        "correlation_id": asked_by.correlation_id,
    }
    ids: list[UUID] = []
    for start in range(0, len(jobs), _ROWS_A_STATEMENT):
        part = jobs[start : start + _ROWS_A_STATEMENT]
        part_keys = keys[start : start + len(part)] if keys else [job.unique_key() for job in part]
        policies = [unique or job.unique for job in part]
        ids += _insert(session, part, part_keys, policies, shared, traceparent=asked_by.traceparent)
    return ids


def _insert(
    session: Session,
    jobs: Sequence[Job],
    keys: Sequence[str | None],
    policies: Sequence[Unique],
    shared: Mapping[str, Any],
    *,
    traceparent: str | None,
) -> list[UUID]:
    """Insert jobs in one statement; those whose key is taken, by another of them too, get that one's id."""
    ids = [new_id() for _ in jobs]
    first = {key: number for number, key in reversed(list(enumerate(keys))) if key is not None}
    chosen = [number for number, key in enumerate(keys) if key is None or first[key] == number]
    expiring = [keys[number] for number in first.values() if policies[number].for_seconds is not None]
    if expiring:
        session.execute(_QUERIES["release_expired"], {"keys": expiring})
    rows = [
        _row(jobs[n], policies[n], id=ids[n], unique_key=keys[n], traceparent=origin.child_traceparent(traceparent))
        for n in chosen
    ]
    holders: dict[str, UUID] = {}
    for row in session.fetch_all(_QUERIES["enqueue"], {**shared, "jobs": orjson.dumps(rows).decode()}):
        if row["unique_key"] is not None:
            holders[row["unique_key"]] = row["id"]
    inserted = [n for n in chosen if (key := keys[n]) is None or holders[key] == ids[n]]
    if inserted:
        told = partial(_enqueued, Counter(jobs[n].kind for n in inserted), [ids[n] for n in inserted])
        session.after_commit(told)
        ready = _ready(((jobs[n], ids[n]) for n in inserted), shared)
        if ready:
            session.notify_ready_after_commit(ready)
        if len(ready) < len(inserted):
            session.notify_after_commit()
    return [own if key is None else holders[key] for own, key in zip(ids, keys, strict=True)]


def _ready(inserted: Iterable[tuple[Job, UUID]], shared: Mapping[str, Any]) -> list[tuple[int, UUID]]:
    """Return those that nothing keeps from being run at once, each with its priority."""
    if shared["waits_for"] or shared["at"] or shared["delay_seconds"]:
        return []
    priority = shared["priority"]
    return [(job.message_priority() if priority is None else priority, id_) for job, id_ in inserted if not job.limit]


def _row(job: Job, unique: Unique, **own: UUID | str | None) -> dict[str, Any]:
    """Return what is stored of a job, by the names of the statement; `own` is what its contract does not say."""
    return {
        **own,
        "kind": job.kind,
        "version": job.version,
        "priority": job.message_priority(),
        "payload": job.model_dump(mode="json"),
        "unique_seconds": unique.for_seconds,
        "unique_while_unfinished": unique.while_unfinished,
        "limit_name": job.limit.name if job.limit else None,
        "limit_key": job.limit_key(),
        "max_attempts": job.retry.attempts,
        "time_limit_seconds": job.time_limit_seconds,
    }


def _enqueued(kinds: Mapping[str, int], ids: Sequence[UUID]) -> None:
    for kind, count in kinds.items():
        metrics.jobs_enqueued.labels(kind).inc(count)
    if len(ids) == 1:
        log.info("job_enqueued", job_id=str(ids[0]), job=next(iter(kinds)))
        return
    for part in in_lines(ids):
        log.info("jobs_enqueued", jobs=dict(kinds), count=len(ids), job_ids=part)
