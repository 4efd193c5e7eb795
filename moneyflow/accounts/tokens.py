"""Single-use tokens in mails; only their hashes are stored."""

import base64
import hashlib
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.mails import Link
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError
from moneyflow.platform.keyed_hash import keyed_hash
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


def issue(session: Session, link: Link, *, secret_key: str, user_id: UUID, job_id: UUID) -> str:
    """Return the token of the mail that this job sends, and store its hash.

    It is derived from the job's id and not random: when the job runs again after a crash, its second mail carries the
    same link as the first, and both work. SECURITY: the secret key is needed too, so the database alone reveals none.
    """
    digest = keyed_hash(secret_key, str(job_id), purpose=link.purpose)
    token = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    session.execute(
        _QUERIES["issue"],
        {
            "token_hash": _hash(token),
            "user_id": user_id,
            "purpose": link.purpose,
            "hours": link.hours,
            "job_id": job_id,
        },
    )
    return token


def redeem(session: Session, token: str, *, purpose: str, again: bool = False) -> UUID:
    """Use a token and return its user's id; the user's other tokens for that purpose are used with it.

    The user's row is locked until the transaction ends. With `again` a used token is taken as well: for what is
    harmless to repeat.

    Raises:
        InvalidInputError: it is unknown, used or expired. SECURITY: the error does not say which.
    """
    user_id: UUID = _redeem(session, token, purpose=purpose, again=again)["user_id"]
    return user_id


def redeem_own(session: Session, token: str, *, purpose: str, user_id: UUID) -> UUID:
    """Use a token of this user, or take a used one again, and return the id of the job that mailed it.

    Raises:
        InvalidInputError: it is unknown or expired, or was mailed to another user.
    """
    row = _redeem(session, token, purpose=purpose, again=True)
    if row["user_id"] != user_id:
        raise invalid_link()
    job_id: UUID = row["job_id"]
    return job_id


def end_all(session: Session, user_id: UUID) -> None:
    """End all links that were mailed to the user, as when the address changes."""
    session.execute(_QUERIES["end_all"], {"user_id": user_id})


def invalid_link() -> InvalidInputError:
    """Return the error of a link that does not work. SECURITY: it does not say why."""
    problem = ("/token", "is unknown, used or expired")
    return InvalidInputError("the link does not work any more; ask for a new one", (problem,))


def _redeem(session: Session, token: str, *, purpose: str, again: bool) -> DictRow:
    parameters = {"token_hash": _hash(token), "purpose": purpose}
    session.execute(_QUERIES["lock_user"], parameters)
    row = session.fetch_one(_QUERIES["redeem"], parameters)
    if row is None and again:
        row = session.fetch_one(_QUERIES["find_used"], parameters)
    if row is None:
        raise invalid_link()
    session.execute(_QUERIES["end_others"], {"user_id": row["user_id"], "purpose": purpose})
    return row


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
