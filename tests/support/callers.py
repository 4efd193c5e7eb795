"""Callers of the API: the header of a user who has signed in."""

from uuid import UUID

from moneyflow.accounts.sessions import Sessions
from moneyflow.platform.ids import new_id
from moneyflow.settings import AllSettings


def bearer(settings: AllSettings, *, user_id: UUID | None = None, role: str = "user") -> dict[str, str]:
    """Sign a user in, without an account, and return the header of the session."""
    sessions = Sessions(settings)
    token, _ = sessions.start(user_id=user_id or new_id(), role=role, client="a test")
    sessions.close()
    return {"Authorization": f"Bearer {token}"}


def administrator(settings: AllSettings) -> dict[str, str]:
    """Sign an administrator in and return the header of the session."""
    return bearer(settings, role="administrator")
