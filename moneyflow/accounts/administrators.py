"""Administrators: made by an operator, by promotion, with a password, or by an invitation."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from moneyflow.accounts.new_accounts import AddressHolder, make_account
from moneyflow.events.user import UserActivated, UserUpdated
from moneyflow.gateways.mail.addresses import stored_form
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import INVITATION
from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

_ROLE = "administrator"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """An active account that is an administrator's now; `is_new` when it was not before."""

    user_id: UUID
    is_new: bool


def promote(session: Session, *, email: str) -> Promotion | None:
    """Make the owner of an active account an administrator; None when the address has no active account."""
    found = session.fetch_one(_QUERIES["lock"], {"email": stored_form(email)})
    if found is None:
        return None
    if found["role"] != _ROLE:
        row = session.fetch_one(_QUERIES["promote"], {"id": found["id"]})
        assert row is not None, "the row is locked"
        emit(session, UserUpdated(sequence=row["version"], user_id=found["id"], changed=("role",)))
    return Promotion(user_id=found["id"], is_new=found["role"] != _ROLE)


def create(session: Session, *, email: str, name: str, password_hash: str) -> UUID:
    """Make an account of an administrator that is active at once, as the operator answers for the address.

    Raises:
        InvalidInputError: the address or the name is not valid.
        ConflictError: the address has an active account by now.
    """
    account = _made(session, email=email, name=name, password_hash=password_hash)
    row = session.fetch_one(_QUERIES["activate"], {"id": account.user_id})
    assert row is not None, "it was made in this transaction"
    emit(
        session,
        UserActivated(sequence=row["version"], user_id=account.user_id, activated_at=row["activated_at"]),
        actor_id=account.user_id,
    )
    return account.user_id


def invite(session: Session, *, email: str, name: str) -> tuple[UUID, UUID]:
    """Make an account of an administrator who chooses a password by a mailed link; return its id and the mail's job.

    Raises as `create`.
    """
    account = _made(session, email=email, name=name, password_hash=None)
    return account.user_id, enqueue(session, SendEmail(template=INVITATION.name, user_id=account.user_id))


def _made(session: Session, *, email: str, name: str, password_hash: str | None) -> AddressHolder:
    account = make_account(session, email=email, name=name, password_hash=password_hash, role=_ROLE)
    if not account.is_new:
        raise ConflictError(f"{email} has an active account by now; run the command again, which promotes it")
    return account
