"""Single-use tokens in mails; only their hashes are stored."""

import base64
import hashlib
import hmac
from pathlib import Path
from uuid import UUID

from moneyflow.mails import Link
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def issue(session: Session, link: Link, *, secret_key: str, user_id: UUID, job_id: UUID) -> str:
    """Return the token of the mail that this job sends, and store its hash.

    It is derived from the job's id and not random: when the job runs again after a crash, its second mail carries the
    same link as the first, and both work. SECURITY: the secret key is needed too, so the database alone reveals none.
    """
    digest = hmac.new(secret_key.encode(), f"{link.purpose}:{job_id}".encode(), hashlib.sha256).digest()
    token = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    session.execute(
        _QUERIES["issue"],
        {"token_hash": _hash(token), "user_id": user_id, "purpose": link.purpose, "hours": link.hours},
    )
    return token


def redeem(session: Session, token: str, *, purpose: str, again: bool = False) -> UUID:
    """Use a token and return its user's id; the user's other tokens for that purpose are used with it.

    With `again` a used token is taken as well: for what is harmless to repeat.

    Raises:
        InvalidInputError: it is unknown, used or expired. SECURITY: the error does not say which.
    """
    parameters = {"token_hash": _hash(token), "purpose": purpose}
    row = session.fetch_one(_QUERIES["redeem"], parameters)
    if row is None and again:
        row = session.fetch_one(_QUERIES["find_used"], parameters)
    if row is None:
        raise InvalidInputError(
            "the link does not work any more; ask for a new one", (("/token", "is unknown, used or expired"),)
        )
    user_id: UUID = row["user_id"]
    session.execute(_QUERIES["end_others"], {"user_id": user_id, "purpose": purpose})
    return user_id


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
