"""Users: sign up, activate, read and change the profile, delete."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.accounts import tokens
from moneyflow.accounts.new_accounts import make_account
from moneyflow.accounts.sessions import Sessions
from moneyflow.events.user import UserActivated, UserDeleted, UserUpdated
from moneyflow.jobs.send_email import SendEmail
from moneyflow.jobs.send_welcome import SendWelcome
from moneyflow.mails import ACTIVATE, ACTIVATION, ALREADY_REGISTERED, INVITATION
from moneyflow.platform.database import Session
from moneyflow.platform.errors import InvalidInputError, NotFoundError, PreconditionFailedError
from moneyflow.platform.events.emit import FRAGMENTS, emit, emit_with
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=FRAGMENTS)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A user as the user sees it; `version` counts the changes."""

    id: UUID
    email: str
    name: str
    role: str
    avatar_key: str | None
    version: int
    created_at: datetime
    activated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Activation:
    """An activated account."""

    user_id: UUID
    activated_at: datetime


def sign_up(session: Session, *, email: str, name: str, password_hash: str) -> UUID:
    """Create an account that is not activated yet, and return the id of the job that mails its owner.

    For an address that has an active account nothing changes; its owner gets a mail that says so, once a day. The
    account of an invited person stays too, and the invitation is mailed again. SECURITY: the caller gets the same
    answer in all cases, after the same work.

    Raises:
        InvalidInputError: the address or the name is not valid.
    """
    account = make_account(session, email=email, name=name, password_hash=password_hash, replaces_invited=False)
    known = INVITATION if account.is_invited else ALREADY_REGISTERED
    mail = ACTIVATION if account.is_new else known
    return enqueue(session, SendEmail(template=mail.name, user_id=account.user_id))


def activate(session: Session, token: str, *, password_hash: str | None = None, name: str | None = None) -> Activation:
    """Activate the account of the token's user, and enqueue the welcome mail.

    A person who was invited has no password yet, and chooses it here, with the name. A link that is followed again, as
    after a lost answer, gives the same activation.

    Raises:
        InvalidInputError: the token is unknown or expired, or the password or the name is missing or too much.
    """
    user_id = tokens.redeem(session, token, purpose=ACTIVATE.purpose, again=True)
    found = session.fetch_one(_QUERIES["lock_for_activation"], {"id": user_id})
    assert found is not None, "the row is locked with the token"
    if found["activated_at"] is not None:
        return Activation(user_id=user_id, activated_at=found["activated_at"])
    _check_chosen(is_invited=found["is_invited"], password_hash=password_hash, name=name)
    row = session.fetch_one(_QUERIES["activate"], {"id": user_id, "password_hash": password_hash, "name": name})
    assert row is not None, "the row is locked"
    event = UserActivated(sequence=row["version"], user_id=user_id, activated_at=row["activated_at"])
    emit(session, event, actor_id=user_id)
    enqueue(session, SendWelcome(user_id=user_id))
    return Activation(user_id=user_id, activated_at=row["activated_at"])


def _check_chosen(*, is_invited: bool, password_hash: str | None, name: str | None) -> None:
    """Check that a person chooses a password and a name exactly when they were invited."""
    given = {"/password": password_hash is not None, "/name": name is not None}
    problem = "is missing: an invited person chooses it" if is_invited else "is known from the sign-up; leave it out"
    errors = tuple((pointer, problem) for pointer, is_given in given.items() if is_given is not is_invited)
    if errors:
        raise InvalidInputError("the account was not activated; correct the members in `errors`", errors)


def resend_activation(session: Session, *, email: str) -> UUID:
    """Enqueue another mail with an activation link, and return the job's id.

    SECURITY: for an unknown or an active address the same work is done, and the job finds no one to mail.
    """
    row = session.fetch_one(_QUERIES["find_inactive"], {"email": email})
    mail = INVITATION if row is not None and row["is_invited"] else ACTIVATION
    return enqueue(session, SendEmail(template=mail.name, user_id=row["id"] if row else new_id()))


def profile(session: Session, user_id: UUID) -> Profile:
    """Return the user.

    Raises:
        NotFoundError: the account was deleted.
    """
    return _found(session.fetch_one(_QUERIES["profile"], {"id": user_id}))


def _found(row: DictRow | None) -> Profile:
    if row is None:
        raise NotFoundError("the account does not exist any more")
    return Profile(**row)


def rename(session: Session, current: Profile, *, name: str) -> Profile:
    """Change the user's name with the event, in one statement; return the new profile.

    Raises:
        PreconditionFailedError: the user was changed or deleted since it was read; nothing was written.
    """
    if name == current.name:
        return current
    changed = replace(current, name=name, version=current.version + 1)
    event = UserUpdated(sequence=changed.version, user_id=changed.id, changed=("name",))
    parameters = {"id": changed.id, "name": changed.name, "version": changed.version}
    if not emit_with(session, _QUERIES["rename"], parameters, event):
        raise PreconditionFailedError("the account was changed meanwhile; read it again and repeat your change")
    return changed


def lock_profile(session: Session, user_id: UUID) -> Profile:
    """Return the user, whose row is locked until the transaction ends; raises as `profile`."""
    return _found(session.fetch_one(_QUERIES["lock_profile"], {"id": user_id}))


def delete(session: Session, sessions: Sessions, user_id: UUID) -> None:
    """Delete the account with its personal data, and end its sessions. Events keep the id.

    Raises:
        NotFoundError: the account was deleted before.
        UnavailableError: Redis, which keeps the sessions, is down.
    """
    row = session.fetch_one(_QUERIES["delete"], {"id": user_id})
    if row is None:
        raise NotFoundError("the account does not exist any more")
    emit(session, UserDeleted(sequence=row["version"] + 1, user_id=user_id))
    sessions.end_all(user_id)  # Before the commit: when Redis is down, nothing is deleted.
