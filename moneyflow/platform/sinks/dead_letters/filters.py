"""The filter that every command on dead letters of events shares, and the check that what it names exists."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, LiteralString

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.operations.sources import given_parts
from moneyflow.platform.queries import load_queries
from moneyflow.platform.suggestions import did_you_mean

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

State = Literal["dead", "waiting", "due", "reprocessed", "discarded"]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Filter of dead letters: every given part must hold; without any part it matches all of them.

    `groups` are ids that the function `groups` returns; `subjects` are the events' subjects, such as a user's id.
    `since` and `until` (exclusive) bound the time of the failure. `text` is searched in the error's message, ignoring
    case.
    """

    sinks: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    error_classes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    correlation_ids: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it matches every dead letter."""
        return self == Filter()

    def as_json(self) -> dict[str, Any]:
        """Return the given parts, to be kept with an operation."""
        return given_parts(self.parameters())

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a query that `filtered` returned."""
        names = ("sinks", "types", "topics", "error_classes", "groups", "subjects", "correlation_ids")
        return {name: list(getattr(self, name)) or None for name in names} | {
            "since": self.since,
            "until": self.until,
            "text": self.text,
        }


def filtered(query: LiteralString) -> LiteralString:
    """Return a query with its comment `/* matching */` replaced by the filter's condition."""
    query = query.replace("/* matching */", "(" + _QUERIES["matching"] + ")")
    return query.replace("/* group_id */", _QUERIES["group_id"])


def check(session: Session, chosen: Filter, *, state: State) -> None:
    """Check that the sinks, types and groups of a filter are those of dead letters in a state.

    A misspelt one would silently match nothing.

    Raises:
        InvalidInputError: no dead letter has such a sink or type; names those that there are.
        NotFoundError: there is no such group.
    """
    for column, given in (("sink", chosen.sinks), ("event_type", chosen.types)):
        known = _known(session, column, state=state) if given else ()
        for name in given:
            if name not in known:
                there = f"there are those of {', '.join(sorted(known))}" if known else "there are none at all"
                hint = did_you_mean(name, known, otherwise=there)
                raise InvalidInputError(f"there is no {state} letter of {name!r}; {hint}")
    query, parameters = filtered(_QUERIES["groups"]), {"state": state, "groups": list(chosen.groups)}
    groups = {row["group"] for row in session.fetch_all(query, parameters)} if chosen.groups else set()
    for group in chosen.groups:
        if group not in groups:
            raise NotFoundError(f"there is no group {group} among the {state} letters", about="dead_letter_group")


def _known(session: Session, column: str, *, state: State) -> set[str]:
    rows = session.fetch_all(_QUERIES["sinks" if column == "sink" else "types"], {"state": state})
    return {row["name"] for row in rows}
