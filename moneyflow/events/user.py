"""Events about a user, in order per user on `user.events`."""

from datetime import datetime
from uuid import UUID

from moneyflow.events.topics import USER_EVENTS
from moneyflow.platform.events.contract import Event


class UserCreated(Event, type="user.created", topic=USER_EVENTS, subject="user_id"):
    """A person signed up; the account is not active yet."""

    user_id: UUID
    email: str
    name: str
    created_at: datetime


class UserActivated(Event, type="user.activated", topic=USER_EVENTS, subject="user_id"):
    """The person followed the link in their mail; the account is active from now on."""

    user_id: UUID
    activated_at: datetime
