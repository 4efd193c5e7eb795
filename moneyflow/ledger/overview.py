"""How all jobs stand, for operators: found by state and kind, and counted."""

from pathlib import Path

from psycopg.rows import DictRow

from moneyflow.database import Session, load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def find(session: Session, *, state: str | None, kind: str | None, limit: int) -> list[DictRow]:
    """Return the newest jobs of a state and a kind, or of any; nothing of their payload."""
    return session.fetch_all(_QUERIES["find"], {"state": state, "kind": kind, "limit": limit})


def standing(session: Session) -> list[DictRow]:
    """Return kind, priority, state, jobs, held and oldest_due_seconds of all jobs that are not done."""
    return session.fetch_all(_QUERIES["standing"])
