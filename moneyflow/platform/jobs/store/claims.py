"""Claims: a worker takes jobs before any work, many in one statement, or one alone that is quarantined."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from moneyflow.platform.database import Session
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.queries import array, load_queries

QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A job that this worker holds. `attempt` is the number of this attempt, counted from 1."""

    id: UUID
    kind: str
    version: int
    priority: int
    payload: dict[str, Any]
    attempt: int
    max_attempts: int
    fence: int
    correlation_id: str | None
    traceparent: str | None
    wait_seconds: float
    time_limit_seconds: int
    limit_name: str | None = None
    #: Its kind's breaker is open, and this job shows whether the outage is over.
    is_probe: bool = False
    #: By this process's monotonic clock.
    claimed_at: float = field(default_factory=time.monotonic)


class Standing(Enum):
    """What a worker is to do with a message whose job `claim` did not return."""

    UNKNOWN = auto()  #: No such job.
    SETTLED = auto()  #: Finished, held by a live worker, or due later: the message has nothing to do.
    FAILED = auto()  #: Failed for good: only its dead letter starts it again.
    PAUSED = auto()  #: Of a paused kind: it waits in Postgres until the kind is resumed.
    CLAIMABLE = auto()  #: It can be claimed now.
    QUARANTINED = auto()  #: A worker died while it held the job: claim it alone.


def claim(connection: Connection[DictRow] | Session, ids: Sequence[UUID], *, worker: int) -> list[Claim]:
    """Claim those of the jobs that can run now and are not quarantined, in one statement."""
    rows = connection.execute(QUERIES["claim"], {"ids": array(ids), "worker": worker}).fetchall()
    return [Claim(**row) for row in rows]


def claim_quarantined(connection: Connection[DictRow], job_id: UUID, *, worker: int) -> Claim | None:
    """Claim one job whose worker died, and count its attempt before it starts; committed durably, as no other claim."""
    with connection.transaction():
        connection.execute(QUERIES["durably"])
        row = connection.execute(QUERIES["claim_quarantined"], {"id": job_id, "worker": worker}).fetchone()
    return Claim(**row) if row else None


def standing(connection: Connection[DictRow], job_id: UUID) -> Standing:
    """Return what follows for a message whose job was not claimed."""
    row = connection.execute(QUERIES["standing"], {"id": job_id}).fetchone()
    return Standing[row["standing"]] if row else Standing.UNKNOWN


def renew(connection: Connection[DictRow], held: Claim) -> bool:
    """Extend the lease of a claim; return False when another worker has taken the job over."""
    return connection.execute(QUERIES["renew"], {"id": held.id, "fence": held.fence}).rowcount == 1


def report(connection: Connection[DictRow] | Session, held: Claim, progress: dict[str, Any] | None) -> bool:
    """Keep the job's progress, if given; return whether the job was asked to cancel.

    Raises:
        FenceLostError: another worker has taken the job over.
    """
    parameters = {"id": held.id, "fence": held.fence, "progress": Jsonb(progress) if progress else None}
    row = connection.execute(QUERIES["report"], parameters).fetchone()
    if row is None:
        raise FenceLostError(f"job {held.id} was taken over from fence {held.fence}; this attempt is rolled back")
    is_cancelled: bool = row["is_cancelled"]
    return is_cancelled


def release(connection: Connection[DictRow], held: Iterable[Claim]) -> None:
    """Give up claims whose jobs have not started; the relay publishes the jobs again."""
    given_up = list(held)
    parameters = {"ids": [one.id for one in given_up], "fences": [one.fence for one in given_up]}
    connection.execute(QUERIES["release"], parameters)


def release_unheard(connection: Connection[DictRow], ids: Iterable[UUID], *, worker: int) -> None:
    """Give up those of the jobs that a claim took for this worker, and whose answer was lost with the connection."""
    connection.execute(QUERIES["release_unheard"], {"ids": array(ids), "worker": worker})


def unqueue(connection: Connection[DictRow], job_id: UUID) -> None:
    """Let a queued job of a paused kind wait in Postgres until the kind is resumed."""
    connection.execute(QUERIES["unqueue"], {"id": job_id})


def reschedule(connection: Connection[DictRow], job_id: UUID, *, seconds: float) -> None:
    """Make a quarantined job due `seconds` later."""
    connection.execute(QUERIES["reschedule"], {"id": job_id, "seconds": seconds})


def replay(connection: Connection[DictRow], job_id: UUID, *, fence: int) -> bool:
    """Start a failed job again with all its attempts, once for each failure; committed durably.

    `fence` is the fence of the failure that the dead letter describes. Returns False when that failure is over.
    """
    with connection.transaction():
        connection.execute(QUERIES["durably"])
        return connection.execute(QUERIES["replay"], {"id": job_id, "fence": fence}).rowcount == 1
