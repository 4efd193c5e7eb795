"""Sign-in and sign-out: passwords are checked, sessions started and ended, and each step leaves its event."""

from pathlib import Path
from uuid import UUID

from psycopg.rows import DictRow

from moneyflow.accounts.passwords import Passwords
from moneyflow.accounts.sessions import Sessions, UserSession
from moneyflow.events.auth import SignedIn, SignedOut, SignInFailed
from moneyflow.platform.database import Database, Session
from moneyflow.platform.errors import UnauthenticatedError
from moneyflow.platform.events.emit import emit, next_sequence
from moneyflow.platform.keyed_hash import keyed_hash
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Hex digits of an address's hash by which unknown addresses share 4,096 sequences, so that guesses of addresses add no
#: rows without end. A sequence still grows for each of its addresses, by more than one where others come in between.
_SHARED_DIGITS = 3

_REFUSED = "the address or the password is wrong, or the account is not activated; correct them, or ask for a new link"


class SignIn:
    """Signs users in and out."""

    def __init__(self, *, database: Database, sessions: Sessions, passwords: Passwords, secret_key: str) -> None:
        self._database = database
        self._sessions = sessions
        self._passwords = passwords
        self._secret_key = secret_key

    def sign_in(self, *, email: str, password: str, client: str) -> tuple[str, UserSession]:
        """Start a session of the user with this address; return its token and the session.

        SECURITY: known and unknown addresses take the same work and get the same answer.

        Raises:
            UnauthenticatedError: the address or the password is wrong, or the account is not activated.
            BusyError: too many passwords are being hashed.
            UnavailableError: Redis is down.
        """
        with self._database.transaction() as session:
            user = session.fetch_one(_QUERIES["find"], {"email": email})
        # No connection is held while the password is hashed.
        is_correct = self._passwords.is_correct(password, encoded=user["password_hash"] if user else None)
        started: tuple[str, UserSession] | None = None
        with self._database.transaction() as session:
            if user is not None and is_correct and self._is_current(session, user):
                # Before the commit: a password change, which ends all sessions, waits for the lock of the row.
                started = self._sessions.start(user_id=user["id"], role=user["role"], client=client)
                self._signed_in(session, user["id"], started[1])
            else:
                self._failed(session, email, user, is_correct=is_correct)
        if started is None:
            raise UnauthenticatedError(_REFUSED)
        return started

    def sign_out(self, user_id: UUID, session_id: UUID) -> bool:
        """End a session of the user; return whether there was one.

        Raises:
            UnavailableError: Redis is down; the session has not ended.
        """
        with self._database.transaction() as session:
            emit(session, SignedOut(sequence=_next(session, user_id), user_id=user_id, session_id=session_id))
            # After the event: while Postgres is down, no session ends without one, and the sign-out can be repeated.
            is_ended = self._sessions.end(user_id, str(session_id))
            if not is_ended:
                session.release()
        return is_ended

    def _is_current(self, session: Session, user: DictRow) -> bool:
        """Lock the user's row, and return whether it has the password that was checked and is activated."""
        row = session.fetch_one(_QUERIES["lock"], {"id": user["id"]})
        return row is not None and row["password_hash"] == user["password_hash"] and row["activated_at"] is not None

    def _signed_in(self, session: Session, user_id: UUID, started: UserSession) -> None:
        event = SignedIn(sequence=_next(session, user_id), user_id=user_id, session_id=UUID(started.id))
        emit(session, event, actor_id=user_id)

    def _failed(self, session: Session, email: str, user: DictRow | None, *, is_correct: bool) -> None:
        if user is None:
            digest = keyed_hash(self._secret_key, email.lower(), purpose="sign-in").hex()
            sequence = _next(session, f"unknown:{digest[:_SHARED_DIGITS]}")
            event = SignInFailed(sequence=sequence, principal=digest, reason="unknown_address")
        else:
            reason = "not_activated" if is_correct else "wrong_password"
            event = SignInFailed(sequence=_next(session, user["id"]), principal=str(user["id"]), reason=reason)
        emit(session, event)


def _next(session: Session, principal: UUID | str) -> int:
    return next_sequence(session, f"auth:{principal}")
