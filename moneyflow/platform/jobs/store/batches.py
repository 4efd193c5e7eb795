"""Batch ends: the relay ends batches whose jobs have all ended, and cancels batches in which a job failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A batch that has just ended; `counts` holds the number of its members in each state."""

    id: UUID
    name: str
    counts: Mapping[str, int]
    end_job_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class CancelledMembers:
    """Members that were cancelled: kind and state of each, `running` when it was asked to stop."""

    batch_id: UUID
    members: Sequence[tuple[str, str]]


def end_finished(session: Session, *, limit: int) -> list[Ended]:
    """End up to `limit` sealed batches without unfinished members, and release their end jobs.

    Two statements of one transaction: the first locks the batches, the second sees every member that was added before
    the lock was taken. Batches that another relay has locked are skipped.
    """
    locked = [row["id"] for row in session.fetch_all(QUERIES["lock_finished"], {"limit": limit})]
    if not locked:
        return []
    return [Ended(**row) for row in session.fetch_all(QUERIES["end"], {"ids": locked})]


def cancel_failed(session: Session, *, limit: int, members: int) -> list[CancelledMembers]:
    """Cancel up to `members` members of each of up to `limit` batches that a failed member cancels."""
    cancelled = []
    for batch in session.fetch_all(QUERIES["failed"], {"limit": limit}):
        rows = cancel_members(session, batch["id"], after=None, limit=members)
        found = [(row["kind"], row["state"]) for row in rows]
        cancelled.append(CancelledMembers(batch_id=batch["id"], members=found))
    return cancelled


def cancel_members(session: Session, batch_id: UUID, *, after: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Cancel up to `limit` members with ids above `after`; return id, kind and state of each, as `CancelledMembers`."""
    return session.fetch_all(QUERIES["cancel_members"], {"batch_id": batch_id, "after": after, "limit": limit})
