"""Password changes: by the current password, or by a link in a mail; each ends all sessions of the user."""

from pathlib import Path
from uuid import UUID

from moneyflow.accounts import tokens
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.events.auth import PasswordReset
from moneyflow.events.user import UserPasswordChanged
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import PASSWORD_CHANGED, PASSWORD_RESET, RESET
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.events.emit import emit, next_sequence
from moneyflow.platform.ids import new_id
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))


class PasswordChanges:
    """Changes passwords."""

    def __init__(self, *, database: Database, sessions: Sessions, passwords: Passwords) -> None:
        self._database = database
        self._sessions = sessions
        self._passwords = passwords

    def change(self, user_id: UUID, *, current: str, new: str) -> None:
        """Change the password of a user who knows the current one, and end all sessions.

        Raises:
            InvalidInputError: the current password is wrong.
            ConflictError: the password was changed meanwhile.
            BusyError: too many passwords are being hashed.
            UnavailableError: Redis is down; the password is unchanged.
        """
        with self._database.transaction() as session:
            row = session.fetch_one(_QUERIES["find"], {"id": user_id})
        encoded = row["password_hash"] if row else None
        # No connection is held while passwords are hashed.
        if not self._passwords.is_correct(current, encoded=encoded):
            raise InvalidInputError("the current password is wrong", (("/current_password", "is wrong"),))
        hashed = self._passwords.hash(new)
        with self._database.transaction() as session:
            self._set(session, user_id, password_hash=hashed, before=encoded)

    def request_reset(self, session: Session, *, email: str) -> UUID:
        """Enqueue a mail with a link that resets the password, and return the job's id.

        SECURITY: for an unknown address the same work is done, and the job finds no one to mail.
        """
        row = session.fetch_one(_QUERIES["find_by_email"], {"email": email})
        return enqueue(session, SendEmail(template=PASSWORD_RESET.name, user_id=row["id"] if row else new_id()))

    def reset(self, *, token: str, new: str) -> None:
        """Set a new password by the token of a mail, and end all sessions.

        Raises:
            InvalidInputError: the token is unknown, used or expired.
            BusyError: too many passwords are being hashed.
            UnavailableError: Redis is down; the password is unchanged and the link still works.
        """
        hashed = self._passwords.hash(new)
        with self._database.transaction() as session:
            # It locks the user's row before the sequence, in the order of a sign-in.
            user_id = tokens.redeem(session, token, purpose=RESET.purpose)
            emit(session, PasswordReset(sequence=next_sequence(session, f"auth:{user_id}"), user_id=user_id))
            self._set(session, user_id, password_hash=hashed)

    def _set(self, session: Session, user_id: UUID, *, password_hash: str, before: str | None = None) -> None:
        parameters = {"id": user_id, "password_hash": password_hash, "before": before}
        row = session.fetch_one(_QUERIES["set"], parameters)
        if row is None:
            raise ConflictError("the password was changed meanwhile; sign in again")
        emit(session, UserPasswordChanged(sequence=row["version"], user_id=user_id), actor_id=user_id)
        enqueue(session, SendEmail(template=PASSWORD_CHANGED.name, user_id=user_id))
        # Before the commit, while the row is locked: no session of the old password outlives it, also when this
        # process dies here. When Redis is down, nothing is changed.
        self._sessions.end_all(user_id)
