"""Groups and lists of failed jobs, by the filter that every command on them shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.jobs.contract import registry
from moneyflow.platform.queries import load_queries
from moneyflow.platform.suggestions import did_you_mean

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The states from which an operator brings a job back.
DeadState = Literal["failed", "discarded"]
#: The kind of the groups of refused messages, which have no job.
REFUSED = "(refused)"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Filter of failed jobs: every given part must hold; without any part it matches all of them.

    `groups` are ids that the function `groups` returns; `since` and `until` (exclusive) bound the time of the failure;
    `text` is searched in error message, payload and correlation id, ignoring case.
    """

    kinds: tuple[str, ...] = ()
    error_classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    priorities: tuple[int, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it matches every job."""
        return self == Filter()

    def as_json(self) -> dict[str, Any]:
        """Return the given parts, to be kept with an operation."""
        parts = {name: list(value) if isinstance(value, tuple) else value for name, value in self.parameters().items()}
        return {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in parts.items()
            if value is not None
        }

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a query that `filtered` returned."""
        names = ("kinds", "error_classes", "groups", "priorities")
        return {name: list(getattr(self, name)) or None for name in names} | {
            "since": self.since,
            "until": self.until,
            "text": self.text,
        }


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


def filtered(query: LiteralString) -> LiteralString:
    """Return a query with its comment `/* matching */` replaced by the filter's condition."""
    matching = _QUERIES["matching"]
    return query.replace("/* matching */", f"({matching})").replace("/* group_id */", _QUERIES["group_id"])


def groups(session: Session, chosen: Filter) -> list[Group]:
    """Return the groups of failed jobs, the most numerous first."""
    rows = session.fetch_all(filtered(_QUERIES["groups"]), chosen.parameters())
    return [_group(row) for row in rows]


def page(session: Session, chosen: Filter, *, state: DeadState, limit: int) -> tuple[list[DictRow], int]:
    """Return the newest jobs of a state that match, and the number of all that match."""
    rows = session.fetch_all(filtered(_QUERIES["page"]), {**chosen.parameters(), "state": state, "limit": limit})
    total = rows[0]["total"] if rows else 0
    return [{key: value for key, value in row.items() if key != "total"} for row in rows], total


def kinds(session: Session, *, state: DeadState) -> list[str]:
    """Return the kinds of the jobs in a state."""
    return [row["kind"] for row in session.fetch_all(_QUERIES["kinds"], {"state": state})]


def check_kinds(session: Session, chosen: Filter, *, state: DeadState) -> None:
    """Check that the filter's kinds exist: a misspelt kind would silently match nothing.

    Raises:
        InvalidInputError: neither the contracts nor a job of this state have such a kind.
    """
    if not chosen.kinds:
        return
    known = {*registry, *kinds(session, state=state)}
    for kind in chosen.kinds:
        if kind not in known:
            hint = did_you_mean(kind, known, otherwise=f"there are {', '.join(sorted(known))}")
            raise InvalidInputError(f"there is no job kind {kind!r}; {hint}")


def states_and_fences(session: Session, ids: Iterable[UUID]) -> dict[UUID, tuple[str, int]]:
    """Return state and fence of those jobs that Postgres has."""
    asked: Sequence[UUID] = list(set(ids))
    rows = session.fetch_all(_QUERIES["states_and_fences"], {"ids": asked}) if asked else []
    return {row["id"]: (row["state"], row["fence"]) for row in rows}


def _group(row: DictRow) -> Group:
    return Group(message=row.pop("error_group"), **{**row, "sample_id": str(row["sample_id"])})
