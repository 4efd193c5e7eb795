"""Status of the sync: how many people are in which state, and what is known of each; no value of a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.crm import gate
from moneyflow.crm.gate import Gate
from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=Path(__file__).with_name("fragments.sql"))

State = Literal["synced", "waiting", "set aside", "removed"]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """How many people are in which state; `removed` are deleted here and there, and are forgotten after a month."""

    synced: int
    waiting: int
    set_aside: int
    removed: int
    last_synced_at: datetime | None
    oldest_waiting_seconds: float

    def by_state(self) -> dict[str, int]:
        """Return the numbers by the names of the states."""
        return {"synced": self.synced, "waiting": self.waiting, "set aside": self.set_aside, "removed": self.removed}


def totals(session: Session) -> Totals:
    """Return the numbers."""
    row = session.fetch_one(_QUERIES["totals"])
    assert row is not None, "an aggregate has one row"
    return Totals(**row)


def the_gate(session: Session) -> Gate:
    """Return whether the CRM is asked now."""
    return gate.look(session)


def contacts(session: Session, *, ids: Sequence[UUID] = (), state: State | None = None, limit: int) -> list[DictRow]:
    """Return what is known of people: of ids, or in a state; those that need a look first."""
    parameters = {"ids": list(ids) or None, "state": state, "limit": limit}
    return session.fetch_all(_QUERIES["contacts"], parameters)
