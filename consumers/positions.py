"""Positions: a sink's next offset in each partition, next to its rows, with the epoch of the consumer that owns it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moneyflow.platform.database import Session
from moneyflow.platform.errors import FenceLostError
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


#: A commit takes less; a consumer that is frozen in its transaction is waited for in vain.
_LOCK_TIMEOUT = "2s"


@dataclass(frozen=True, kw_only=True)
class Position:
    """The next offset that this process writes in a partition, and its epoch there."""

    topic: str
    partition: int
    epoch: int
    next_offset: int | None
    #: Why the partition is stopped until an operator clears it; None while it is not.
    gap: str | None = None


def claim(session: Session, *, topic: str, partition: int) -> Position:
    """Begin a new epoch in a partition; the consumer of the previous epoch cannot move its position any more.

    Raises:
        psycopg.errors.LockNotAvailable: that consumer's transaction has locked it, and has not ended in time.
    """
    place = {"topic": topic, "partition": partition}
    (row,) = session.fetch_all(_QUERIES["claim"], place, settings={"lock_timeout": _LOCK_TIMEOUT})
    return Position(
        topic=topic, partition=partition, epoch=row["epoch"], next_offset=row["next_offset"], gap=row["gap"]
    )


def stop(session: Session, position: Position, gap: str) -> None:
    """Stop the partition for every consumer of the sink, until an operator clears the gap."""
    session.execute(_QUERIES["stop"], {"topic": position.topic, "partition": position.partition, "gap": gap})


def advance(session: Session, position: Position, *, next_offset: int) -> None:
    """Move the position in the transaction of the rows that were written.

    Raises:
        FenceLostError: another consumer has claimed the partition; the transaction must be rolled back.
    """
    parameters = {
        "topic": position.topic,
        "partition": position.partition,
        "epoch": position.epoch,
        "next_offset": next_offset,
    }
    if session.execute(_QUERIES["advance"], parameters).rowcount == 0:
        raise _fence_lost(position)


def hold(session: Session, position: Position) -> None:
    """Lock the position until the transaction ends: no other consumer claims the partition meanwhile.

    Raises:
        FenceLostError: another consumer has claimed the partition; the transaction must be rolled back.
    """
    parameters = {"topic": position.topic, "partition": position.partition, "epoch": position.epoch}
    if session.fetch_one(_QUERIES["hold"], parameters) is None:
        raise _fence_lost(position)


def superseded(session: Session, positions: Sequence[Position]) -> list[Position]:
    """Return those of the positions that another consumer has claimed, or an operator has moved."""
    parameters = {
        "topics": [position.topic for position in positions],
        "partitions": [position.partition for position in positions],
        "epochs": [position.epoch for position in positions],
    }
    found = {(row["topic"], row["partition"]) for row in session.fetch_all(_QUERIES["superseded"], parameters)}
    return [position for position in positions if (position.topic, position.partition) in found]


def _fence_lost(position: Position) -> FenceLostError:
    return FenceLostError(f"{position.topic} {position.partition}: epoch {position.epoch} was superseded")
