"""Events about signing in and out, in order per user on `auth.events`; none carries an address or a secret."""

from typing import Literal
from uuid import UUID

from moneyflow.events.topics import AUTH_EVENTS
from moneyflow.platform.events.contract import Event


class SignedIn(Event, type="auth.sign_in", topic=AUTH_EVENTS, subject="user_id"):
    """A user signed in."""

    user_id: UUID
    session_id: UUID


class SignInFailed(Event, type="auth.sign_in_failed", topic=AUTH_EVENTS, subject="principal"):
    """A sign-in was refused. `principal` is the user's id, else a keyed hash of the address that was used.

    Hashes share sequences: the sequence of one grows, but not always by one.
    """

    principal: str
    reason: Literal["unknown_address", "wrong_password", "not_activated"]


class SignedOut(Event, type="auth.sign_out", topic=AUTH_EVENTS, subject="user_id"):
    """A user ended a session."""

    user_id: UUID
    session_id: UUID


class PasswordReset(Event, type="auth.password_reset", topic=AUTH_EVENTS, subject="user_id"):
    """A user chose a new password by the link in a mail."""

    user_id: UUID
