"""The filter that every command on many jobs shares, and the check that what it names exists."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, LiteralString
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.jobs.contract import registry
from moneyflow.platform.jobs.store import FRAGMENTS
from moneyflow.platform.operations.sources import given_parts
from moneyflow.platform.queries import load_queries
from moneyflow.platform.suggestions import did_you_mean

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)

#: The states from which an operator brings a job back.
DeadState = Literal["failed", "discarded"]


class ShownState(StrEnum):
    """State of a job as it is shown: a scheduled job that waits for its next attempt is retrying."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Filter of jobs: every given part must hold; without any part it matches all of them.

    `states` are states as they are shown; `groups` are ids that the function `groups` returns; `subjects` are ids, such
    as a person's, of which the payload has one as a value. `since` and `until` (exclusive) bound the time of the
    failure or, of jobs in any state, of the enqueuing. `text` is searched in error message, payload and correlation id,
    ignoring case.
    """

    kinds: tuple[str, ...] = ()
    states: tuple[ShownState, ...] = ()
    error_classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    priorities: tuple[int, ...] = ()
    batches: tuple[UUID, ...] = ()
    subjects: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it matches every job."""
        return self == Filter()

    def as_json(self) -> dict[str, Any]:
        """Return the given parts, to be kept with an operation."""
        parts = self.parameters() | {"batches": [str(batch) for batch in self.batches] or None}
        return given_parts(parts)

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a query that `filtered` returned."""
        names = ("kinds", "states", "error_classes", "groups", "priorities", "batches", "subjects")
        return {name: list(getattr(self, name)) or None for name in names} | {
            "since": self.since,
            "until": self.until,
            "text": self.text,
        }


def filtered(query: LiteralString, *, moment: LiteralString = "finished_at") -> LiteralString:
    """Return a query with its comment `/* matching */` replaced by the filter's condition, on the column `moment`."""
    matching = _QUERIES["matching"].replace("/* moment */", moment)
    return query.replace("/* matching */", f"({matching})").replace("/* group_id */", _QUERIES["group_id"])


def check(session: Session, chosen: Filter, *, state: DeadState | None = None) -> None:
    """Check that the kinds, groups and batches of a filter exist: a misspelt one would silently match nothing.

    Kinds and groups are those of jobs in `state`; without it of all jobs.

    Raises:
        InvalidInputError: neither the contracts nor a job have such a kind.
        NotFoundError: there is no such group or batch.
    """
    check_kinds(session, chosen.kinds, state=state)
    check_groups(session, chosen.groups, state=state)
    for batch in chosen.batches:
        if session.fetch_one(_QUERIES["batch"], {"id": batch}) is None:
            raise NotFoundError(f"there is no batch {batch}", about="batch")


def check_kinds(session: Session, kinds: Collection[str], *, state: DeadState | None) -> None:
    """Check that the kinds exist; raises InvalidInputError with the closest one."""
    unknown = [kind for kind in kinds if kind not in registry]
    if not unknown:
        return
    found = [row["kind"] for row in session.fetch_all(_QUERIES["kinds"], {"state": state, "kinds": unknown})]
    known = {*registry, *found}
    for kind in unknown:
        if kind not in known:
            hint = did_you_mean(kind, known, otherwise=f"there are {', '.join(sorted(known))}")
            raise InvalidInputError(f"there is no job kind {kind!r}; {hint}")


def check_groups(session: Session, groups: Collection[str], *, state: DeadState | None) -> None:
    """Check that the groups exist; raises NotFoundError."""
    if not groups:
        return
    query, parameters = filtered(_QUERIES["groups"]), {"state": state, "groups": list(groups)}
    known = {row["group"] for row in session.fetch_all(query, parameters)}
    unknown_group(groups, known, among=f"{state or 'the'} jobs")


def unknown_group(groups: Collection[str], known: Collection[str], *, among: str) -> None:
    """Raise NotFoundError for the first group that is not known."""
    for group in groups:
        if group not in known:
            raise NotFoundError(f"there is no group {group} among {among}", about="group")
