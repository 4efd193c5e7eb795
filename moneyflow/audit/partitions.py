"""Partitions: the months of the audit log that are made ahead."""

from pathlib import Path

from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def make(session: Session) -> int:
    """Make the partitions of this month and the next three, and return how many were new.

    It waits three seconds for readers of the whole log, and then raises psycopg's `LockNotAvailable`.
    """
    row = session.fetch_one(_QUERIES["make"])
    assert row is not None, "the function returns one row"
    return int(row["made"])
