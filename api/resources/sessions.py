"""`/v1/sessions`: sign in, sign out, and the caller's own sessions."""

from typing import Annotated, Literal
from uuid import UUID

import falcon
from pydantic import Field, SecretStr

from api.answers import send
from api.bodies import Body, parse, read_body
from api.guards import SessionCookie, caller_of, public, signed_in
from api.limits import SIGN_INS, ClientLimits
from api.paths import id_of
from moneyflow.accounts.sessions import ABSOLUTE_SECONDS, Sessions, UserSession
from moneyflow.accounts.sign_in import SignIn
from moneyflow.platform.clock import from_timestamp
from moneyflow.platform.errors import NotFoundError
from moneyflow.platform.http.answers import Answer, json_answer

#: Characters of `User-Agent` that a session keeps, by which its user recognises the device.
_CLIENT_LENGTH = 200
_SIGNED_OUT = Answer(status=204)


class Credentials(Body):
    """The body of a sign-in."""

    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Annotated[SecretStr, Field(min_length=1, max_length=256)]
    transport: Literal["cookie", "bearer"] = "cookie"


class OwnSessions:
    """The sessions of the caller."""

    def __init__(self, sign_in: SignIn, sessions: Sessions, cookie: SessionCookie, limits: ClientLimits) -> None:
        self._sign_in = sign_in
        self._sessions = sessions
        self._cookie = cookie
        self._limits = limits

    @public
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign in: 201 with the session; its token is in a cookie, or in the answer for `"transport": "bearer"`."""
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), Credentials)
        self._limits.check_address(SIGN_INS, body.email)
        client = (request.user_agent or "")[:_CLIENT_LENGTH]
        token, session = self._sign_in.sign_in(
            email=body.email, password=body.password.get_secret_value(), client=client
        )
        shown = _shown(session)
        if body.transport == "bearer":
            shown["token"] = token
        else:
            self._cookie.set(response, token, seconds=ABSOLUTE_SECONDS)
        send(request, response, json_answer(shown, status=201))

    @signed_in
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the caller's sessions, the newest first; `current` marks the one that asks."""
        caller = caller_of(request)
        items = [
            {**_shown(session), "client": session.client, "current": session.id == caller.session.id}
            for session in self._sessions.of_user(caller.user_id)
        ]
        send(request, response, json_answer({"items": items, "next_cursor": None}))


class OwnSession:
    """One session of the caller; `current` is the one that asks."""

    def __init__(self, sign_in: SignIn, cookie: SessionCookie) -> None:
        self._sign_in = sign_in
        self._cookie = cookie

    @signed_in
    def on_delete(self, request: falcon.Request, response: falcon.Response, session_id: str) -> None:
        """End the session: 204."""
        caller = caller_of(request)
        current = UUID(caller.session.id)
        ended = current if session_id == "current" else id_of("session", session_id, found="GET /v1/sessions")
        if not self._sign_in.sign_out(caller.user_id, ended):
            raise NotFoundError(f"there is no session {ended}")
        if ended == current and caller.by_cookie:
            self._cookie.remove(response)
        send(request, response, _SIGNED_OUT)


def _shown(session: UserSession) -> dict[str, object]:
    return {
        "id": session.id,
        "user_id": session.user_id,
        "created_at": from_timestamp(session.created_at),
        "expires_at": from_timestamp(session.expires_at),
    }
