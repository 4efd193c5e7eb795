"""The rows `positions` of all sinks: each is in the schema of its sink, which is named as the sink.

The operator's role may read them and change offset, epoch and gap, by a grant of the migration that makes them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

from psycopg import sql
from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.queries import load_queries
from moneyflow.platform.suggestions import did_you_mean

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The source of operations on positions.
POSITIONS = "positions"
SKIP, REWIND = "skip", "rewind"


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """A partition as a sink reads it; `str` of it is the id of an item of operations."""

    sink: str
    topic: str
    partition: int

    @property
    def key(self) -> tuple[str, int]:
        """The partition, which other sinks read too."""
        return self.topic, self.partition

    def __str__(self) -> str:
        return f"{self.sink} {self.topic} {self.partition}"

    @classmethod
    def of(cls, text: str) -> "Place":
        """Return the place of an item's id."""
        sink, topic, partition = text.split(" ")
        return cls(sink=sink, topic=topic, partition=int(partition))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sink's next offset in a partition; `gap` is why the partition is stopped until an operator clears it."""

    place: Place
    next_offset: int | None
    epoch: int
    gap: str | None


def sinks(session: Session) -> list[str]:
    """Return the sinks that have a table of positions."""
    return [row["sink"] for row in session.fetch_all(_QUERIES["sinks"])]


def check_sink(session: Session, sink: str) -> None:
    """Check that a sink exists; raises InvalidInputError with the closest one."""
    known = sinks(session)
    if sink not in known:
        hint = did_you_mean(sink, known, otherwise=f"there are {', '.join(known)}")
        raise InvalidInputError(f"there is no sink {sink!r}; {hint}")


def read(session: Session, names: Iterable[str]) -> list[Row]:
    """Return the positions of some sinks, in the order of sink, topic and partition."""
    return [_row(sink, row) for sink in names for row in session.fetch_all(_in_schema("positions", sink))]


def find(session: Session, place: Place) -> Row | None:
    """Return the position of a place, or None."""
    row = session.fetch_one(_in_schema("position", place.sink), {"topic": place.topic, "partition": place.partition})
    return None if row is None else _row(place.sink, row)


def skip(session: Session, place: Place, *, to: int, newest: int) -> bool:
    """Move a position forward, or out of a gap, in a new epoch; return False when that is no skip any more."""
    return _moved(session, "skip", place, {"next_offset": to, "newest": newest})


def rewind(session: Session, place: Place, *, to: int) -> bool:
    """Move a position back, in a new epoch; return False when it is there, or stopped by a gap."""
    return _moved(session, "rewind", place, {"next_offset": to})


def dead_letters_from(session: Session, place: Place, offset: int) -> dict[str, int]:
    """Count by state the dead letters of a sink in a partition from an offset on."""
    parameters = {"sink": place.sink, "topic": place.topic, "partition": place.partition, "offset": offset}
    return {row["state"]: row["records"] for row in session.fetch_all(_QUERIES["dead_letters_from"], parameters)}


def _moved(session: Session, query: str, place: Place, target: dict[str, int]) -> bool:
    parameters = {"topic": place.topic, "partition": place.partition, **target}
    return session.count_rows(_in_schema(query, place.sink), parameters) == 1


def _in_schema(query: str, sink: str) -> LiteralString:
    """Return a query on the table of a sink; the name is quoted."""
    table = sql.Identifier(sink, "positions").as_string()
    return _QUERIES[query].replace("/* positions */", table)


def _row(sink: str, row: DictRow) -> Row:
    place = Place(sink=sink, topic=row["topic"], partition=row["partition"])
    return Row(place=place, next_offset=row["next_offset"], epoch=row["epoch"], gap=row["gap"])
