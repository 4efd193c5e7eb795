"""Suppressions: addresses that bounced lately, to which no mail is sent for a week.

SECURITY: an address is kept as a hash with the secret key, next to its user's id; it is deleted with the account.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.accounts.settings import AccountSettings
from moneyflow.gateways.mail import Bounce
from moneyflow.platform.database import Session
from moneyflow.platform.keyed_hash import keyed_hash
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Days after a bounce until the next mail to its address is sent: a mailbox may exist again by then.
DAYS = 7


def add(session: Session, settings: AccountSettings, bounce: Bounce, *, user_id: UUID, address: str) -> None:
    """Suppress mails to a user's address, from now on for a week."""
    session.execute(
        _QUERIES["add"],
        {
            "address_hash": _hash(settings, address),
            "user_id": user_id,
            "code": bounce.code,
            "status": bounce.status,
            "reason": bounce.reason,
            "days": DAYS,
        },
    )


def find(session: Session, settings: AccountSettings, address: str) -> DictRow | None:
    """Return the suppression of an address, or None: its code and status, when it bounced, and when that expires."""
    return session.fetch_one(_QUERIES["find"], {"address_hash": _hash(settings, address)})


def listed(session: Session, *, limit: int) -> list[DictRow]:
    """Return the suppressions that hold, with their users, the newest first."""
    return session.fetch_all(_QUERIES["list"], {"limit": limit})


def release(session: Session, *, user_id: UUID | None = None, email: str | None = None) -> int:
    """Send mails again to one user's address, or to all addresses; return how many were suppressed."""
    parameters: dict[str, Any] = {"user_id": user_id, "email": email}
    return session.count_rows(_QUERIES["release"], parameters)


def _hash(settings: AccountSettings, address: str) -> bytes:
    return keyed_hash(settings.secret_key.get_secret_value(), address.lower(), purpose="mail_suppression")
