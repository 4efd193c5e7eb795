"""Enqueue: insert jobs in the caller's transaction, so that they exist exactly when it commits."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from moneyflow.platform import bounds
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs import metrics
from moneyflow.platform.jobs.contract import PRIORITIES, Job
from moneyflow.platform.jobs.policy import Unique
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.payloads import to_json
from moneyflow.platform.queries import load_queries
from moneyflow.platform.telemetry import origin
from moneyflow.platform.telemetry.logs import in_lines

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: Characters of a key; four bytes each fit into an entry of an index.
_LONGEST_KEY = 600
#: Jobs that one statement inserts.
_ROWS_A_STATEMENT = 1000


def enqueue(session: Session, job: Job, *, at: datetime | None = None, delay: timedelta | None = None) -> UUID:
    """Insert the job in the session's transaction and return its id.

    It runs after the commit: at once, at the time `at`, or after `delay`. When another job holds its unique key, that
    job's id is returned and nothing is inserted. The job belongs to the user whose request this is; a job that another
    job, a schedule or an operator enqueues belongs to no user.

    Raises:
        ValueError: both `at` and `delay` are given, or `at` has no time zone.
        InvalidInputError: a field of the payload would come back changed, or names what does not exist, such as a
            template; or the job is due before 1970 or in more than 100 years; or its priority or a key does not fit.
            The text names it, and nothing is inserted.
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
    """Insert jobs as `enqueue` does, up to a thousand in a statement, and return their ids in the same order.

    Jobs of one call that share a unique key are one job. With `waits_for_batch` they are end jobs, and wait until their
    batch has ended. `priority`, `keys` (one for each job) and `unique` override the jobs' contracts.
    """
    if at is not None and (delay is not None or at.tzinfo is None):
        raise ValueError("give either `at`, with a time zone, or `delay`")
    for job in jobs:
        job.check_payload()
    if at is not None:
        bounds.check_due(at)
    if delay is not None:
        bounds.check_delay(delay)
    if priority is not None:
        _check_priority(priority)
    asked_by = origin.current()
    shared = {
        "at": at,
        "delay_seconds": max(delay.total_seconds(), 0.0) if delay else 0.0,
        "batch_id": batch_id,
        "waits_for": "batch" if waits_for_batch else None,
        "priority": priority,
        "owner_id": asked_by.actor_id,
        "anonymous": asked_by.is_anonymous,
        "correlation_id": asked_by.correlation_id,
    }
    all_keys: Sequence[str | None] = keys or [job.unique_key() for job in jobs]
    ids: list[UUID] = []
    for start in range(0, len(jobs), _ROWS_A_STATEMENT):
        part = slice(start, start + _ROWS_A_STATEMENT)
        policies = [unique or job.unique for job in jobs[part]]
        ids += _insert(session, jobs[part], all_keys[part], policies, shared, traceparent=asked_by.traceparent)
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
    """Insert jobs in one statement; for a job whose key another job holds, return that job's id."""
    ids = [new_id() for _ in jobs]
    first = {key: number for number, key in reversed(list(enumerate(keys))) if key is not None}
    chosen = [number for number, key in enumerate(keys) if key is None or first[key] == number]
    expiring = [keys[number] for number in first.values() if policies[number].for_seconds is not None]
    _release_expired(session, expiring)
    rows = [
        _row(jobs[n], policies[n], id=ids[n], unique_key=keys[n], traceparent=origin.child_traceparent(traceparent))
        for n in chosen
    ]
    holders = _execute(session, rows, shared)
    inserted = [n for n in chosen if (key := keys[n]) is None or holders[key] == ids[n]]
    if inserted:
        _notify(session, [(jobs[n], ids[n]) for n in inserted], shared)
    return [own if key is None else holders[key] for own, key in zip(ids, keys, strict=True)]


def _release_expired(session: Session, keys: Sequence[str | None]) -> None:
    if keys:
        session.execute(_QUERIES["release_expired"], {"keys": keys})


def _execute(session: Session, rows: Sequence[Mapping[str, Any]], shared: Mapping[str, Any]) -> dict[str, UUID]:
    """Insert the rows, and return the id of the job that holds each of their unique keys."""
    try:
        document = to_json(rows, of="jobs")
    except InvalidInputError:
        for row in rows:
            to_json(row, of=row["kind"])
        raise
    found = session.fetch_all(_QUERIES["enqueue"], {**shared, "jobs": document.decode()})
    return {row["unique_key"]: row["id"] for row in found if row["unique_key"] is not None}


def _notify(session: Session, inserted: Sequence[tuple[Job, UUID]], shared: Mapping[str, Any]) -> None:
    """Log and count the jobs after the commit, and notify idle workers of those that are ready, else the relay."""
    session.after_commit(partial(_report, Counter(job.kind for job, _ in inserted), [id_ for _, id_ in inserted]))
    ready = _ready(inserted, shared)
    if ready:
        session.notify_ready_after_commit(ready)
    if len(ready) < len(inserted):
        session.notify_after_commit()


def _ready(inserted: Iterable[tuple[Job, UUID]], shared: Mapping[str, Any]) -> list[tuple[int, UUID]]:
    """Return the jobs that can run at once, each with its priority."""
    if shared["waits_for"] or shared["at"] or shared["delay_seconds"]:
        return []
    priority = shared["priority"]
    return [(job.message_priority() if priority is None else priority, id_) for job, id_ in inserted if not job.limit]


def _row(job: Job, unique: Unique, **own: UUID | str | None) -> dict[str, Any]:
    """Return a job as the statement reads it; `own` holds the fields that its contract does not have."""
    priority, limit_key = job.message_priority(), job.limit_key()
    _check_priority(priority)
    for name, key in (("unique_key", own["unique_key"]), ("limit_key", limit_key)):
        _check_key(name, key)
    return {
        **own,
        "kind": job.kind,
        "version": job.version,
        "priority": priority,
        "payload": job.payload(),
        "unique_seconds": unique.for_seconds,
        "unique_while_unfinished": unique.while_unfinished,
        "limit_name": job.limit.name if job.limit else None,
        "limit_key": limit_key,
        "max_attempts": job.retry.attempts,
        "time_limit_seconds": job.time_limit_seconds,
    }


def _check_priority(priority: int) -> None:
    if isinstance(priority, bool) or priority not in PRIORITIES:
        raise InvalidInputError(f"priority: {priority!r} is not a whole number from 0 to 10, where 10 is first")


def _check_key(name: str, key: object) -> None:
    """Check that Postgres can index a key: longer ones would fail there, with an error that names no field."""
    if key is None:
        return
    if not isinstance(key, str) or len(key) > _LONGEST_KEY or "\0" in key or not _is_utf8(key):
        raise InvalidInputError(f"{name}: give at most {_LONGEST_KEY} characters without NUL, or a hash of it")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _report(kinds: Mapping[str, int], ids: Sequence[UUID]) -> None:
    for kind, count in kinds.items():
        metrics.jobs_enqueued.labels(kind).inc(count)
    if len(ids) == 1:
        log.debug("job_enqueued", job_id=str(ids[0]), job=next(iter(kinds)))
        return
    for part in in_lines(ids):
        log.debug("jobs_enqueued", jobs=dict(kinds), count=len(ids), job_ids=part)
