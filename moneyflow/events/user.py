"""Events about a user, in order per user on `user.events`. They carry ids and names of fields, no personal data."""

from datetime import datetime
from uuid import UUID

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.events.contract import Event


class UserCreated(Event, type="user.created", topic=USER_EVENTS, subject="user_id"):
    """A person signed up; the account is not active yet."""

    user_id: UUID
    created_at: datetime


class UserActivated(Event, type="user.activated", topic=USER_EVENTS, subject="user_id"):
    """The person followed the link in their mail; the account is active from now on."""

    user_id: UUID
    activated_at: datetime


class UserUpdated(Event, type="user.updated", topic=USER_EVENTS, subject="user_id"):
    """Fields of the account changed; who needs their values reads the current row."""

    user_id: UUID
    changed: tuple[str, ...]


class UserPasswordChanged(Event, type="user.password_changed", topic=USER_EVENTS, subject="user_id"):
    """The user has a new password."""

    user_id: UUID


class UserDeleted(Event, type="user.deleted", topic=USER_EVENTS, subject="user_id"):
    """The account and its personal data are deleted."""

    user_id: UUID
