"""Search: the events of the audit log by actor, subject, type, correlation id and time, the newest first."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))


@dataclass(frozen=True, kw_only=True)
class Filter:
    """The events that are looked for; those that meet all that is given."""

    actor: str | None = None
    subject: str | None = None
    types: tuple[str, ...] | None = None
    correlation_id: str | None = None
    #: By the event's own time: at or after, and before.
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> Mapping[str, Any]:
        """Return the parameters of the fragment `filtered` of `search.sql`."""
        return asdict(self) | {"types": list(self.types) if self.types else None}


def search(session: Session, chosen: Filter, *, limit: int, before: str | None = None) -> list[DictRow]:
    """Return at most `limit` events, the newest first; `before` is the id of the last one of the page before.

    Raises:
        NotFoundError: there is no event with the id `before`.
    """
    page = {"limit": limit, "before_time": None, "before_id": before}
    if before is not None:
        row = session.fetch_one(_QUERIES["time_of"], {"id": before})
        if row is None:
            raise NotFoundError(f"--before {before}: the audit log has no event with this id")
        page["before_time"] = row["time"]
    # A search by type and time alone takes the newest of each type, by the index of types.
    by_index = chosen.actor or chosen.subject or chosen.correlation_id
    return session.fetch_all(_QUERIES["by_id" if by_index else "by_type"], {**chosen.parameters(), **page})


def check_times(chosen: Filter) -> None:
    """Refuse a period that ends before it begins; raises InvalidInputError."""
    if chosen.since and chosen.until and chosen.until <= chosen.since:
        raise InvalidInputError("--until is not after --since; no event can be between them")
