"""Operators' views of people: how many, on which day; no view has a person."""

import datetime as dt
from pathlib import Path

from psycopg.rows import DictRow

from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def funnel(session: Session, *, limit: int) -> list[DictRow]:
    """Return of the latest days of sign-up how many signed up, were activated, and have a transaction."""
    return session.fetch_all(_QUERIES["funnel"], {"limit": limit})


def latest_days(session: Session, *, limit: int) -> dict[dt.date, dict[str, int]]:
    """Return the counts of the latest days by their names."""
    found: dict[dt.date, dict[str, int]] = {}
    for row in session.fetch_all(_QUERIES["days"], {"limit": limit}):
        found.setdefault(row["day"], {})[row["what"]] = row["count"]
    return found
