"""What failed, and why: groups and lists for operators, by a filter that every command shares."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: The states from which an operator brings a job back.
DeadState = Literal["failed", "discarded"]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which jobs are meant: those for which every part that is given holds; all, when none is.

    `groups` are the short names that `groups` returns; `since` and `until` (not included) are about the moment of
    the failure; `text` is looked for in error message, payload and correlation id, in whatever case.
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
        """Say whether every job is meant."""
        return self == Filter()

    def as_json(self) -> dict[str, Any]:
        """Return the parts that are given, to be kept."""
        parts = {name: list(value) if isinstance(value, tuple) else value for name, value in self.parameters().items()}
        return {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in parts.items()
            if value is not None
        }

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a query that was made by `filtered`."""
        names = ("kinds", "error_classes", "groups", "priorities")
        return {name: list(getattr(self, name)) or None for name in names} | {
            "since": self.since,
            "until": self.until,
            "text": self.text,
        }


@dataclass(frozen=True, kw_only=True)
class Group:
    """Failures that look alike; `message` is what their messages have in common, `sample_id` the newest of them."""

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
    """Return a query with the filter's condition in the place of its comment `/* matching */`."""
    matching = _QUERIES["matching"]
    return query.replace("/* matching */", f"({matching})").replace("/* group_id */", _QUERIES["group_id"])


def groups(session: Session, chosen: Filter) -> list[Group]:
    """Return the groups of what failed, the most numerous first."""
    rows = session.fetch_all(filtered(_QUERIES["groups"]), chosen.parameters())
    return [_group(row) for row in rows]


def page(session: Session, chosen: Filter, *, state: DeadState, limit: int) -> tuple[list[DictRow], int]:
    """Return the newest that failed, or were discarded, and how many there are in all."""
    rows = session.fetch_all(filtered(_QUERIES["page"]), {**chosen.parameters(), "state": state, "limit": limit})
    total = rows[0]["total"] if rows else 0
    return [{key: value for key, value in row.items() if key != "total"} for row in rows], total


def kinds(session: Session, *, state: DeadState) -> list[str]:
    """Return which kinds of job have failed, or were discarded."""
    return [row["kind"] for row in session.fetch_all(_QUERIES["kinds"], {"state": state})]


def standing(session: Session, ids: Iterable[UUID]) -> dict[UUID, tuple[str, int]]:
    """Return state and fence of each of the jobs that is known."""
    asked: Sequence[UUID] = list(set(ids))
    rows = session.fetch_all(_QUERIES["standing"], {"ids": asked}) if asked else []
    return {row["id"]: (row["state"], row["fence"]) for row in rows}


def _group(row: DictRow) -> Group:
    return Group(message=row.pop("error_group"), **{**row, "sample_id": str(row["sample_id"])})
