"""People: whose address it is."""

from pathlib import Path
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def id_of(session: Session, *, email: str) -> UUID | None:
    """Return the id of the account with an address, in any case of its letters; None when there is none."""
    row = session.fetch_one(_QUERIES["find_by_email"], {"email": email})
    return row["id"] if row else None
