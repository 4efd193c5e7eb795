"""Take jobs before any work: one statement for the whole window of a worker, or one job alone that is suspect."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from moneyflow.database import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A job in the hands of a worker. `attempt` is the number of this try, counted from 1."""

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


class Standing(Enum):
    """What a worker is to do with a message whose job it could not claim with its window."""

    UNKNOWN = auto()  #: No such job.
    SETTLED = auto()  #: Finished, held by a live worker, or due later: the message has nothing to do.
    WAITING = auto()  #: It can be claimed now.
    SUSPECT = auto()  #: A process died while it held the job: claim it alone.


def claim_window(connection: Connection[DictRow], ids: Sequence[UUID], *, worker: int) -> list[Claim]:
    """Claim those of the jobs that wait to be run and are not suspect, in one statement."""
    rows = connection.execute(_QUERIES["claim_window"], {"ids": list(ids), "worker": worker}).fetchall()
    return [Claim(**row) for row in rows]


def claim_suspect(connection: Connection[DictRow], job_id: UUID, *, worker: int) -> Claim | None:
    """Claim one job that a process died with, and count this try before it starts."""
    row = connection.execute(_QUERIES["claim_suspect"], {"id": job_id, "worker": worker}).fetchone()
    return Claim(**row) if row else None


def standing(connection: Connection[DictRow], job_id: UUID) -> Standing:
    """Say where a job stands that was not claimed."""
    row = connection.execute(_QUERIES["standing"], {"id": job_id}).fetchone()
    return Standing[row["standing"]] if row else Standing.UNKNOWN


def renew(connection: Connection[DictRow], claim: Claim) -> bool:
    """Begin the claim's lease anew, for a job that lay in the window for long; False when it was taken over."""
    return connection.execute(_QUERIES["renew"], {"id": claim.id, "fence": claim.fence}).rowcount == 1


def hand_back(connection: Connection[DictRow], claims: Sequence[Claim]) -> None:
    """Give back jobs that were claimed and not started; RabbitMQ delivers their messages again by itself."""
    connection.execute(
        _QUERIES["hand_back"], {"ids": [claim.id for claim in claims], "fences": [claim.fence for claim in claims]}
    )
