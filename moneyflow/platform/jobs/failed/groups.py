"""Groups and lists of failed jobs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.jobs.failed.filters import DeadState, Filter, filtered
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The kind of the groups of refused messages, which have no job.
REFUSED = "(refused)"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Failures of one kind, error class and normalised message; `sample_id` is the newest of them."""

    group: str
    kind: str
    error_class: str | None
    message: str | None
    jobs: int
    first_at: datetime | None
    last_at: datetime | None
    sample_id: str
    sample_message: str | None


def groups(session: Session, chosen: Filter) -> list[Group]:
    """Return the groups of failed jobs, the most numerous first."""
    rows = session.fetch_all(filtered(_QUERIES["groups"]), chosen.parameters())
    return [_group(row) for row in rows]


def page(session: Session, chosen: Filter, *, state: DeadState, limit: int) -> tuple[list[DictRow], int]:
    """Return the newest jobs of a state that match, and the number of all that match."""
    rows = session.fetch_all(filtered(_QUERIES["page"]), {**chosen.parameters(), "state": state, "limit": limit})
    total = rows[0]["total"] if rows else 0
    return [{key: value for key, value in row.items() if key != "total"} for row in rows], total


def states_and_fences(session: Session, ids: Iterable[UUID]) -> dict[UUID, tuple[str, int]]:
    """Return state and fence of those jobs that Postgres has."""
    asked: Sequence[UUID] = list(set(ids))
    rows = session.fetch_all(_QUERIES["states_and_fences"], {"ids": asked}) if asked else []
    return {row["id"]: (row["state"], row["fence"]) for row in rows}


def _group(row: DictRow) -> Group:
    return Group(message=row.pop("error_group"), **{**row, "sample_id": str(row["sample_id"])})
