"""Delete what is over, in small batches that hold up nobody: old jobs, tokens, answers, starts, batches, schedules."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from moneyflow.platform.database import Session, load_queries
from moneyflow.platform.ids import first_id
from moneyflow.platform.jobs.contract import limits
from moneyflow.platform.telemetry import metrics

log = structlog.get_logger(__name__)

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: So many rows are looked at in one transaction: a fraction of a second, in which no claim waits for any of them.
BATCH = 5000
#: How long the answer to a request under an `Idempotency-Key` can be had again.
ANSWERS_KEPT = timedelta(hours=48)
#: A rate that looks back further keeps its starts for longer.
_STARTS_KEPT = timedelta(hours=1)
#: Ids hold the clock of the machine that enqueued; what decides is when the job ended, by Postgres's.
_CLOCKS_APART = timedelta(days=1)
#: Each deletes up to `limit` rows that are over.
_TABLES = ("user_tokens", "idempotency_keys", "job_starts", "batches", "schedules")


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """How long jobs are kept after their end: succeeded and cancelled ones, and those that an operator discarded.

    Failed ones are kept until an operator replays or discards them.
    """

    jobs: timedelta
    discarded: timedelta


def purge(session: Session, keeping: Keeping, *, seconds: float) -> dict[str, Any]:
    """Delete what is over, batch by batch, and return how many rows of each table, and whether that was all.

    Each batch is committed by itself. After `seconds` it stops, and the next purge goes on.
    """
    stop_at = time.monotonic() + seconds
    times = _times(session, keeping)
    deleted = {"jobs": 0} | dict.fromkeys(_TABLES, 0)
    is_done = _purge_jobs(session, times, deleted, stop_at)
    for table in _TABLES:
        is_done = _purge_table(session, table, times, deleted, stop_at) and is_done
    log.info("purged", **deleted, done=is_done)
    return deleted | {"done": is_done}


def _purge_jobs(session: Session, times: Mapping[str, Any], deleted: dict[str, int], stop_at: float) -> bool:
    """Walk through all jobs that are old enough, page by page, and delete those that are over."""
    after = UUID(int=0)
    while time.monotonic() < stop_at:
        row = session.fetch_one(_QUERIES["jobs"], {**times, "after": after, "limit": BATCH})
        session.commit()
        assert row is not None
        _count("jobs", row["deleted"], deleted)
        if row["seen"] < BATCH:
            return True
        after = row["last_id"]
    return False


def _purge_table(
    session: Session, table: str, times: Mapping[str, Any], deleted: dict[str, int], stop_at: float
) -> bool:
    while time.monotonic() < stop_at:
        rows = session.execute(_QUERIES[table], {**times, "limit": BATCH}).rowcount
        session.commit()
        _count(table, rows, deleted)
        if rows < BATCH:
            return True
    return False


def _count(table: str, rows: int, deleted: dict[str, int]) -> None:
    deleted[table] += rows
    metrics.purged_rows.labels(table).inc(rows)


def _times(session: Session, keeping: Keeping) -> dict[str, Any]:
    """Return what the queries compare with: moments by Postgres's clock, as they are when the purge begins."""
    row = session.fetch_one(_QUERIES["now"])
    assert row is not None
    ended_before, discarded_before = row["now"] - keeping.jobs, row["now"] - keeping.discarded
    windows = [timedelta(seconds=limit.rate.per_seconds) for limit in limits().values() if limit.rate]
    return {
        "ended_before": ended_before,
        "discarded_before": discarded_before,
        "before": first_id(max(ended_before, discarded_before) + _CLOCKS_APART),
        "answers": ANSWERS_KEPT,
        "starts": max([_STARTS_KEPT, *windows]),
    }
