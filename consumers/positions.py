"""How far a sink has come, kept beside its rows; the epoch tells which consumer may move it."""

from dataclasses import dataclass
from pathlib import Path

from moneyflow.platform.database import Session, load_queries
from moneyflow.platform.errors import FenceLostError

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(kw_only=True)
class Position:
    """The place of this process in a partition; `next_offset` is the next one that it writes."""

    topic: str
    partition: int
    epoch: int
    next_offset: int | None
    #: Why the partition stands still until somebody decides; None when it does not.
    gap: str | None = None


def claim(session: Session, *, topic: str, partition: int) -> Position:
    """Begin a new epoch in a partition: whoever had it before can move its position no more."""
    row = session.fetch_one(_QUERIES["claim"], {"topic": topic, "partition": partition})
    assert row is not None, "the statement returns the row, new or old"
    return Position(
        topic=topic, partition=partition, epoch=row["epoch"], next_offset=row["next_offset"], gap=row["gap"]
    )


def stop(session: Session, position: Position, gap: str) -> None:
    """Let the partition stand still, also for whoever reads it after us, until an operator clears the gap."""
    session.execute(_QUERIES["stop"], {"topic": position.topic, "partition": position.partition, "gap": gap})


def advance(session: Session, position: Position, *, next_offset: int) -> None:
    """Move the position in the transaction of what was written.

    Raises:
        FenceLostError: another consumer has the partition; the transaction must be rolled back.
    """
    parameters = {
        "topic": position.topic,
        "partition": position.partition,
        "epoch": position.epoch,
        "next_offset": next_offset,
    }
    if session.execute(_QUERIES["advance"], parameters).rowcount == 0:
        raise FenceLostError(f"{position.topic} {position.partition} was taken over from epoch {position.epoch}")
