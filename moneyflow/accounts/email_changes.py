"""Changes of e-mail: confirmed by a link that is mailed to the new address; the old one is notified.

The addresses are in a row of their own until the mails are sent, and in no job: `moneyflow/accounts/mails.py` reads
them by the job's id.
"""

from pathlib import Path
from uuid import UUID

from psycopg.errors import UniqueViolation

from moneyflow.accounts import tokens, users
from moneyflow.accounts.new_accounts import delete_inactive
from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions
from moneyflow.accounts.users import Profile
from moneyflow.events.user import UserUpdated
from moneyflow.jobs.send_email import SendEmail
from moneyflow.mails import CONFIRM_EMAIL, EMAIL_CHANGE, EMAIL_CHANGED
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.events.emit import emit
from moneyflow.platform.jobs.enqueue import enqueue
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Days until a change is forgotten, confirmed or not; longer than a mail waits for the end of an outage.
DAYS = 7


class EmailChanges:
    """Changes the addresses of users."""

    def __init__(self, *, database: Database, sessions: Sessions, passwords: Passwords) -> None:
        self._database = database
        self._sessions = sessions
        self._passwords = passwords

    def request(self, user_id: UUID, *, email: str, current_password: str) -> UUID:
        """Enqueue a mail with a link to the new address, and return the job's id; an earlier change ends.

        SECURITY: whether the address has an account is not looked up before its owner has followed the link.

        Raises:
            InvalidInputError: the current password is wrong, or the address is the one that the user has.
            NotFoundError: the account was deleted meanwhile.
            BusyError: too many passwords are being hashed.
        """
        with self._database.transaction() as session:
            row = session.fetch_one(_QUERIES["find"], {"id": user_id})
        # No connection is held while the password is hashed.
        if not self._passwords.is_correct(current_password, encoded=row["password_hash"] if row else None):
            raise InvalidInputError("the current password is wrong", (("/current_password", "is wrong"),))
        if row is not None and row["email"] == email:
            raise InvalidInputError("the address was not changed", (("/email", "is your address; give another one"),))
        with self._database.transaction() as session:
            users.lock_profile(session, user_id)  # Before the earlier change, in the order of a deletion.
            job_id = enqueue(session, SendEmail(template=EMAIL_CHANGE.name, user_id=user_id))
            session.execute(_QUERIES["replace"], {"id": job_id, "user_id": user_id, "email": email, "days": DAYS})
        return job_id

    def confirm(self, user_id: UUID, *, session_id: str, token: str) -> Profile:
        """Change the user's address by the token of the mail; other sessions and all mailed links of the user end.

        A link that is followed again, as after a lost answer, gives the same answer. An account of the address that was
        never activated is deleted: its owner has just shown who they are.

        Raises:
            InvalidInputError: the token is unknown or expired, or of a change of another user.
            ConflictError: the address has another account.
            UnavailableError: Redis is down; the address is unchanged and the link still works.
        """
        with self._database.transaction() as session:
            change_id = tokens.redeem_own(session, token, purpose=CONFIRM_EMAIL.purpose, user_id=user_id)
            change = session.fetch_one(_QUERIES["lock"], {"id": change_id, "user_id": user_id})
            if change is None:
                raise tokens.invalid_link()
            if change["notice_job_id"] is None:
                self._set(session, user_id, email=change["new_email"], change_id=change_id)
                # Before the commit: when Redis is down, nothing is changed.
                self._sessions.end_others(user_id, kept=session_id)
            return users.profile(session, user_id)

    def _set(self, session: Session, user_id: UUID, *, email: str, change_id: UUID) -> None:
        delete_inactive(session, email=email)
        before = users.lock_profile(session, user_id)
        try:
            row = session.fetch_one(_QUERIES["set"], {"id": user_id, "email": email})
        except UniqueViolation as error:
            detail = "another account has this address; delete that account first, or choose another address"
            raise ConflictError(detail) from error
        assert row is not None, "the row is locked"
        emit(session, UserUpdated(sequence=row["version"], user_id=user_id, changed=("email",)))
        # A link to the password that waits in the old mailbox must not open the account.
        tokens.end_all(session, user_id)
        job_id = enqueue(session, SendEmail(template=EMAIL_CHANGED.name, user_id=user_id))
        confirmed = {"id": change_id, "user_id": user_id, "old_email": before.email, "job_id": job_id}
        session.execute(_QUERIES["confirm"], confirmed)
