"""Enqueue a job, emit an event: rows in the caller's own transaction. No transaction, no job."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import structlog
from psycopg.types.json import Jsonb

from moneyflow import clock
from moneyflow.database import Session, load_queries
from moneyflow.events.base import Event
from moneyflow.ids import new_id
from moneyflow.jobs.base import Job
from moneyflow.telemetry import metrics, origin

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def enqueue(session: Session, job: Job, *, at: datetime | None = None, delay: timedelta | None = None) -> UUID:
    """Insert the job in the session's transaction and return its id.

    It runs once the transaction is committed: at once, at the moment `at`, or after `delay`. When the job has a
    unique key and one with that key is there, nothing is inserted and the first job's id is returned.

    Raises:
        ValueError: when both `at` and `delay` are given, or `at` has no time zone.
    """
    if at is not None and (delay is not None or at.tzinfo is None):
        raise ValueError("give either `at`, with a time zone, or `delay`")
    asked_by = origin.current()
    row = session.fetch_one(
        _QUERIES["enqueue"],
        {
            "id": new_id(),
            "kind": job.kind,
            "version": job.version,
            "priority": job.message_priority(),
            "payload": Jsonb(job.model_dump(mode="json")),
            "at": at,
            "delay_seconds": delay.total_seconds() if delay else 0.0,
            "unique_key": job.unique_key(),
            "max_attempts": job.retry.attempts,
            "time_limit_seconds": job.time_limit_seconds,
            "correlation_id": asked_by.correlation_id,
            "traceparent": origin.child_traceparent(asked_by.traceparent),
        },
    )
    assert row is not None, "the statement returns the new row or the one with its unique key"
    if row["inserted"]:
        session.after_commit(partial(_enqueued, job.kind, str(row["id"])))
        session.leave_work()
    job_id: UUID = row["id"]
    return job_id


def emit(session: Session, event: Event, *, actor_id: UUID | None = None) -> UUID:
    """Insert the event in the session's transaction and return its id.

    Change the aggregate, which locks its row, before you emit: then rows of one key are inserted in the order in
    which their transactions commit, and the relay keeps it. `actor_id` says who acts, where nobody is signed in and
    the use case knows it all the same.
    """
    event_id = new_id()
    asked_by = origin.current()
    if actor_id is not None:
        asked_by = replace(asked_by, actor_id=str(actor_id))
    session.execute(
        _QUERIES["emit"],
        {
            "id": event_id,
            "topic": event.topic,
            "key": event.key(),
            "value": event.envelope(event_id=event_id, source=origin.source(), origin=asked_by, time=clock.now()),
        },
    )
    session.after_commit(partial(log.info, "event_emitted", event_id=str(event_id), event_type=event.type))
    session.leave_work()
    return event_id


def _enqueued(kind: str, job_id: str) -> None:
    metrics.jobs_enqueued.labels(kind).inc()
    log.info("job_enqueued", job_id=job_id, job=kind)
