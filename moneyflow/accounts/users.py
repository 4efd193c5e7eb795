"""Users: sign up, activate."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from moneyflow.accounts import people, tokens
from moneyflow.accounts.names import check_person
from moneyflow.events.user import UserActivated, UserCreated
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.mails import ACTIVATE, ACTIVATION, ALREADY_REGISTERED
from moneyflow.platform.database import Session
from moneyflow.platform.events.emit import emit
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An activated account."""

    user_id: UUID
    activated_at: datetime


def sign_up(session: Session, *, email: str, name: str, password_hash: str) -> UUID:
    """Create an account that is not activated yet, and return the id of the job that mails its owner.

    For an address that has an account nothing changes; its owner gets a mail that says so. SECURITY: the caller gets
    the same answer in both cases.

    Raises:
        InvalidInputError: the address or the name is not valid.
    """
    email, name = check_person(email=email, name=name)
    user_id = new_id()
    row = session.fetch_one(
        _QUERIES["insert_user"], {"id": user_id, "email": email, "name": name, "password_hash": password_hash}
    )
    if row is None:
        owner = people.id_of(session, email=email)
        assert owner is not None, "the insert met a committed row with this address"
        return enqueue(session, SendEmail(template=ALREADY_REGISTERED.name, user_id=owner))
    emit(
        session,
        UserCreated(sequence=1, user_id=user_id, email=email, name=name, created_at=row["created_at"]),
        actor_id=user_id,
    )
    return enqueue(session, SendEmail(template=ACTIVATION.name, user_id=user_id))


def activate(session: Session, token: str) -> Activation:
    """Activate the account of the token's user, and enqueue the welcome mail.

    Raises:
        InvalidInputError: when the token is unknown, used or expired.
    """
    user_id = tokens.redeem(session, token, purpose=ACTIVATE.purpose)
    row = session.fetch_one(_QUERIES["activate"], {"id": user_id})
    if row is None:  # Activated by another link already.
        row = session.fetch_one(_QUERIES["find_activation"], {"id": user_id})
        assert row is not None, "a token is deleted with its user"
        return Activation(user_id=user_id, activated_at=row["activated_at"])
    event = UserActivated(sequence=row["version"], user_id=user_id, activated_at=row["activated_at"])
    emit(session, event, actor_id=user_id)
    enqueue(session, SendWelcome(user_id=user_id))
    return Activation(user_id=user_id, activated_at=row["activated_at"])
