"""Single-use tokens that travel by mail: only their hash is kept."""

import base64
import hashlib
import hmac
from pathlib import Path
from uuid import UUID

from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

LIFETIME_HOURS = 48


def issue(session: Session, *, secret_key: str, user_id: UUID, purpose: str, job_id: UUID) -> str:
    """Return the token that the mail of this job carries, and keep its hash.

    It is derived and not drawn: when a crash makes the job run again, its second mail carries the same link as the
    first, and both work. Without the secret key nobody can derive it from what the database holds.
    """
    digest = hmac.new(secret_key.encode(), f"{purpose}:{job_id}".encode(), hashlib.sha256).digest()
    token = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    session.execute(
        _QUERIES["issue"],
        {"token_hash": _hash(token), "user_id": user_id, "purpose": purpose, "hours": LIFETIME_HOURS},
    )
    return token


def redeem(session: Session, token: str, *, purpose: str) -> UUID:
    """Use a token up and return whose it is; the user's other tokens for that purpose end with it.

    Raises:
        InvalidInputError: it is unknown, used or expired; which of them is nobody's business.
    """
    row = session.fetch_one(_QUERIES["redeem"], {"token_hash": _hash(token), "purpose": purpose})
    if row is None:
        raise InvalidInputError(
            "the link does not work any more; ask for a new one", (("/token", "is unknown, used or expired"),)
        )
    user_id: UUID = row["user_id"]
    session.execute(_QUERIES["end_others"], {"user_id": user_id, "purpose": purpose})
    return user_id


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
