"""Take jobs before any work: one statement for the whole window of a worker, or one job alone that is suspect."""

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

from moneyflow.platform.database import Session, array, load_queries
from moneyflow.platform.errors import FenceLostError

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
    time_limit_seconds: int
    limit_name: str | None = None
    #: Its kind has paused itself, and this job is to show whether it works again.
    is_probe: bool = False
    #: By this process's monotonic clock.
    claimed_at: float = field(default_factory=time.monotonic)


class Standing(Enum):
    """What a worker is to do with a message whose job it could not claim with its window."""

    UNKNOWN = auto()  #: No such job.
    SETTLED = auto()  #: Finished, held by a live worker, or due later: the message has nothing to do.
    FAILED = auto()  #: It failed for good: only its dead letter may begin it anew.
    PAUSED = auto()  #: Its kind is paused: it waits in Postgres until that is over.
    WAITING = auto()  #: It can be claimed now.
    SUSPECT = auto()  #: A process died while it held the job: claim it alone.


def claim_window(connection: Connection[DictRow] | Session, ids: Sequence[UUID], *, worker: int) -> list[Claim]:
    """Claim those of the jobs that wait to be run and are not suspect, in one statement."""
    rows = connection.execute(_QUERIES["claim_window"], {"ids": array(ids), "worker": worker}).fetchall()
    return [Claim(**row) for row in rows]


def let_go(connection: Connection[DictRow], ids: Iterable[UUID], *, worker: int) -> None:
    """Put back those of the jobs that a claim took for this worker without its hearing of it."""
    connection.execute(_QUERIES["let_go"], {"ids": array(ids), "worker": worker})


def claim_suspect(connection: Connection[DictRow], job_id: UUID, *, worker: int) -> Claim | None:
    """Claim one job that a process died with, and count this try before it starts: durably, as no other claim is."""
    with connection.transaction():
        connection.execute(_QUERIES["durably"])
        row = connection.execute(_QUERIES["claim_suspect"], {"id": job_id, "worker": worker}).fetchone()
    return Claim(**row) if row else None


def set_aside(connection: Connection[DictRow], job_id: UUID) -> None:
    """Let a published job of a paused kind wait in Postgres."""
    connection.execute(_QUERIES["set_aside"], {"id": job_id})


def report(connection: Connection[DictRow] | Session, claim: Claim, progress: dict[str, Any] | None) -> bool:
    """Keep how far the job is, if that is given; return whether somebody asked to cancel it.

    Raises:
        FenceLostError: the job was taken over.
    """
    parameters = {"id": claim.id, "fence": claim.fence, "progress": Jsonb(progress) if progress else None}
    row = connection.execute(_QUERIES["report"], parameters).fetchone()
    if row is None:
        raise FenceLostError(f"job {claim.id} was taken over from fence {claim.fence}; what this try did is dropped")
    is_cancelled: bool = row["is_cancelled"]
    return is_cancelled


def postpone(connection: Connection[DictRow], job_id: UUID, *, seconds: float) -> None:
    """Let a suspect come again later, by way of the relay."""
    connection.execute(_QUERIES["postpone"], {"id": job_id, "seconds": seconds})


def replay(connection: Connection[DictRow], job_id: UUID, *, fence: int) -> bool:
    """Begin a failed job anew, with all its attempts before it; once for each time that it failed.

    `fence` is the one of the failure that the dead letter tells of. False when the job is not in that failure any more.
    """
    with connection.transaction():
        connection.execute(_QUERIES["durably"])
        return connection.execute(_QUERIES["replay"], {"id": job_id, "fence": fence}).rowcount == 1


def standing(connection: Connection[DictRow], job_id: UUID) -> Standing:
    """Say where a job stands that was not claimed."""
    row = connection.execute(_QUERIES["standing"], {"id": job_id}).fetchone()
    return Standing[row["standing"]] if row else Standing.UNKNOWN


def renew(connection: Connection[DictRow], claim: Claim) -> bool:
    """Begin the claim's lease anew, for a job that lay in the window for long; False when it was taken over."""
    return connection.execute(_QUERIES["renew"], {"id": claim.id, "fence": claim.fence}).rowcount == 1


def hand_back(connection: Connection[DictRow], carried: Sequence[Claim], uncarried: Sequence[Claim] = ()) -> None:
    """Give back jobs that were claimed and not started.

    RabbitMQ delivers the messages of the `carried` ones again by itself; the others, which were claimed without one,
    wait for the relay.
    """
    claims = (*carried, *uncarried)
    states = ["queued"] * len(carried) + ["scheduled"] * len(uncarried)
    connection.execute(
        _QUERIES["hand_back"],
        {"ids": [claim.id for claim in claims], "fences": [claim.fence for claim in claims], "states": states},
    )
