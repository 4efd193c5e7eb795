"""Groups, lists and details of dead letters of events."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.queries import load_queries
from moneyflow.platform.sinks.dead_letters.filters import Filter, State, check, filtered

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Group:
    """Dead letters of one sink, event type, error class and normalised message; `sample_id` is the newest of them."""

    group: str
    sink: str
    event_type: str | None
    error_class: str | None
    message: str | None
    dead_letters: int
    #: How often the sink has failed on the one on which it failed most often.
    most_attempts: int
    first_at: datetime
    last_at: datetime
    sample_id: UUID
    sample_message: str | None


@dataclass(frozen=True, kw_only=True)
class Page:
    """The newest dead letters that match, without their bytes, and the number of all that match."""

    total: int
    dead_letters: list[DictRow]


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A dead letter in full, the number of records that wait for it, and the operations on it."""

    dead_letter: DictRow
    waiting: int
    operations: list[DictRow]


def groups(session: Session, chosen: Filter) -> list[Group]:
    """Return the groups of what is dead, the most numerous first.

    Raises:
        InvalidInputError, NotFoundError: the filter names a sink, type or group of which nothing is dead.
    """
    check(session, chosen, state="dead")
    return [Group(**row) for row in session.fetch_all(filtered(_QUERIES["groups"]), chosen.parameters())]


def page(session: Session, chosen: Filter, *, state: State = "dead", limit: int) -> Page:
    """Return the newest dead letters of a state that match; raises as `groups`."""
    check(session, chosen, state=state)
    rows = session.fetch_all(filtered(_QUERIES["page"]), {**chosen.parameters(), "state": state, "limit": limit})
    total = rows[0]["total"] if rows else 0
    return Page(
        total=total, dead_letters=[{key: value for key, value in row.items() if key != "total"} for row in rows]
    )


def detail(session: Session, dead_letter: UUID) -> Detail:
    """Return a dead letter in full, for operators; the caller masks its value before it is shown.

    Raises:
        NotFoundError: there is no such dead letter.
    """
    parameters = {"id": dead_letter}
    row = session.fetch_one(filtered(_QUERIES["dead_letter"]), parameters)
    if row is None:
        raise NotFoundError(f"there is no dead letter {dead_letter}", about="dead_letter")
    waiting = session.fetch_one(_QUERIES["waiting"], parameters)
    assert waiting is not None, "a count has a row"
    operations = session.fetch_all(_QUERIES["operations"], parameters)
    return Detail(dead_letter=row, waiting=waiting["records"], operations=operations)
