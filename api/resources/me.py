"""`/v1/users/me`: the caller's own account and password."""

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

import falcon
from pydantic import Field, SecretStr
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.guards import caller_of, signed_in
from api.limits import SIGN_INS, ClientLimits
from api.requests import change_matched
from api.resources.users import Name, NewPassword
from api.session_cookie import SessionCookie
from moneyflow.accounts import users
from moneyflow.accounts.password_changes import PasswordChanges
from moneyflow.accounts.sessions import Sessions
from moneyflow.accounts.users import Profile
from moneyflow.gateways.storage import files
from moneyflow.platform.database import Database
from moneyflow.platform.errors import BusyError, ConflictError, NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer
from moneyflow.platform.http.etags import version_etag

_DONE = Answer(status=204)


class ProfileChange(Body):
    """The body of a change of the profile."""

    name: Name


class PasswordChange(Body):
    """The body of a change of the password."""

    current_password: Annotated[SecretStr, Field(min_length=1, max_length=256, examples=["correct horse battery"])]
    password: NewPassword


class ProfileView(TypedDict):
    """The account as its user sees it."""

    id: UUID
    email: Annotated[str, Field(examples=["ada@mail.example"])]
    name: Annotated[str, Field(examples=["Ada Lovelace"])]
    role: Literal["user", "administrator"]
    avatar_url: Annotated[str | None, Field(examples=["/storage/ab/ab930c5f8d9e4b0a8c7d6e5f40312233.webp"])]
    created_at: datetime
    activated_at: datetime | None


class Me:
    """The caller's account."""

    def __init__(self, database: Database, sessions: Sessions, cookie: SessionCookie) -> None:
        self._database = database
        self._sessions = sessions
        self._cookie = cookie

    @signed_in
    @describes("read_profile", answers={200: ProfileView}, etag=True, errors=(NotFoundError,))
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """Return the profile, with the `ETag` for a change."""
        with self._database.autocommit() as session:
            profile = users.profile(session, caller_of(request).user_id)
        send(request, response, profile_answer(profile))

    @signed_in
    @describes(
        "change_profile",
        body=ProfileChange,
        answers={200: ProfileView},
        etag=True,
        if_match=True,
        errors=(NotFoundError,),
    )
    def on_patch(self, request: falcon.Request, response: falcon.Response) -> None:
        """Change the profile that `If-Match` names; return the new one."""
        body = parse(read_body(request), ProfileChange)
        with self._database.autocommit() as session:
            changed = change_matched(
                request,
                read=lambda: users.profile(session, caller_of(request).user_id),
                etag_of=_etag_of,
                change=lambda current: users.rename(session, current, name=body.name),
            )
        send(request, response, profile_answer(changed))

    @signed_in
    @describes("delete_account", answers={204: None}, errors=(NotFoundError,))
    def on_delete(self, request: falcon.Request, response: falcon.Response) -> None:
        """Delete the account and its personal data, and end its sessions: 204."""
        with self._database.transaction() as session:
            users.delete(session, self._sessions, caller_of(request).user_id)
        self._cookie.remove(request, response)
        send(request, response, _DONE)


class OwnPassword:
    """The caller's password."""

    def __init__(self, changes: PasswordChanges, cookie: SessionCookie, limits: ClientLimits) -> None:
        self._changes = changes
        self._cookie = cookie
        self._limits = limits

    @signed_in
    @describes(
        "change_password", body=PasswordChange, answers={204: None}, limited=True, errors=(ConflictError, BusyError)
    )
    def on_put(self, request: falcon.Request, response: falcon.Response) -> None:
        """Change the password: 204, and all sessions of the user end, this one too."""
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), PasswordChange)
        user_id = caller_of(request).user_id
        # SECURITY: who has a session of another person must not guess the password by it.
        self._limits.check_address(SIGN_INS, str(user_id))
        current, new = body.current_password.get_secret_value(), body.password.get_secret_value()
        self._changes.change(user_id, current=current, new=new)
        self._cookie.remove(request, response)
        send(request, response, _DONE)


def profile_answer(profile: Profile) -> Answer:
    """Return a user as the user sees it, with the `ETag` for a change."""
    shown: ProfileView = {
        "id": profile.id,
        "email": profile.email,
        "name": profile.name,
        "role": cast("Literal['user', 'administrator']", profile.role),
        "avatar_url": files.public_url(profile.avatar_key) if profile.avatar_key else None,
        "created_at": profile.created_at,
        "activated_at": profile.activated_at,
    }
    headers = {"Cache-Control": "private, no-cache"}  # A client may keep it, and asks by its ETag each time.
    return json_answer(shown, headers=headers, etag=_etag_of(profile))


def _etag_of(profile: Profile) -> str:
    return version_etag(profile.id, profile.version)
