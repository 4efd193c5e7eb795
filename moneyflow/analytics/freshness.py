"""Freshness: up to which moment the events are counted.

The API asks Postgres alone. So the sink notes there, for each partition, the time of the last event that it has
written, and about once a second when it had written all that Kafka had. A sink that is down notes nothing, and the
moment grows old. What the relay has not published yet is in the outbox.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from moneyflow.events.topics import TRANSACTION_EVENTS
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Freshness:
    """All that happened up to `as_of` is counted; None while the sink has counted nothing yet."""

    as_of: datetime | None
    lag_seconds: float | None


def written(session: Session, *, topic: str, partition: int, event_time: datetime) -> None:
    """Note the time of the last event of a batch, in its transaction."""
    session.execute(_QUERIES["written"], {"topic": topic, "partition": partition, "event_time": event_time})


def caught_up(session: Session, partitions: Sequence[tuple[str, int]], *, seconds_ago: float) -> None:
    """Note of partitions, by topic and number, that all that Kafka had some seconds ago is written."""
    topics, numbers = [topic for topic, _ in partitions], [number for _, number in partitions]
    session.execute(_QUERIES["caught_up"], {"topics": topics, "partitions": numbers, "seconds_ago": seconds_ago})


def of_transactions(session: Session) -> Freshness:
    """Return how fresh the sums of money are; read it before the sums, which are as fresh or fresher then."""
    row = session.fetch_one(_QUERIES["as_of"], {"topic": TRANSACTION_EVENTS})
    assert row is not None, "an aggregate returns a row"
    if row["as_of"] is None:
        return Freshness(as_of=None, lag_seconds=None)
    lag = max((row["now"] - row["as_of"]).total_seconds(), 0)
    return Freshness(as_of=row["as_of"], lag_seconds=round(lag, 1))
