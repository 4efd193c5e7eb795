"""`/v1/sessions`: sign in, sign out, and the caller's own sessions."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired
from uuid import UUID

import falcon
import psycopg
import structlog
from pydantic import AfterValidator, Field, SecretStr
from typing_extensions import TypedDict

from api.answers import send
from api.bodies import Body, parse, read_body
from api.descriptions import describes
from api.guards import caller_of, carried_token, public, signed_in
from api.limits import SIGN_INS, ClientLimits
from api.paths import id_of
from api.session_cookie import SessionCookie
from moneyflow.accounts.sessions import ABSOLUTE_SECONDS, Sessions, UserSession
from moneyflow.accounts.sign_in import SignIn
from moneyflow.gateways.mail.addresses import stored_form
from moneyflow.platform.clock import from_timestamp
from moneyflow.platform.errors import BusyError, MoneyFlowError, NotFoundError, UnauthenticatedError
from moneyflow.platform.http.answers import Answer, json_answer

log = structlog.get_logger(__name__)

#: Characters of `User-Agent` that a session keeps, by which its user recognises the device.
_CLIENT_LENGTH = 200
_SIGNED_OUT = Answer(status=204)


class Credentials(Body):
    """The body of a sign-in."""

    email: Annotated[
        str, Field(min_length=1, max_length=254, examples=["ada@mail.example"]), AfterValidator(stored_form)
    ]
    password: Annotated[SecretStr, Field(min_length=1, max_length=256, examples=["correct horse battery"])]
    transport: Literal["cookie", "bearer"] = "cookie"


class SessionView(TypedDict):
    """A session; it ends without requests for seven days, and at `expires_at` at the latest."""

    id: UUID
    user_id: UUID
    created_at: datetime
    expires_at: datetime


class NewSessionView(SessionView):
    """A session that has just begun; `token` is there for the transport `bearer`, and is shown this once."""

    token: NotRequired[Annotated[str, Field(examples=["q3IEFz3R6mVx0oJ8m8WcYH1v0jv3rWbqUu0E1xTqYw5"])]]


class OwnSessionView(SessionView):
    """A session in the list of its user; `client` is the `User-Agent` that signed in."""

    client: Annotated[str, Field(examples=["Mozilla/5.0"])]
    current: bool


class OwnSessionsView(TypedDict):
    """All sessions of a user, on one page."""

    items: list[OwnSessionView]
    next_cursor: None


class OwnSessions:
    """The sessions of the caller."""

    def __init__(self, sign_in: SignIn, sessions: Sessions, cookie: SessionCookie, limits: ClientLimits) -> None:
        self._sign_in = sign_in
        self._sessions = sessions
        self._cookie = cookie
        self._limits = limits

    @public
    @describes(
        "sign_in",
        body=Credentials,
        answers={201: NewSessionView},
        limited=True,
        errors=(UnauthenticatedError, BusyError),
        headers={"Set-Cookie": "The session's cookie, for the transport `cookie`."},
    )
    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        """Sign in: 201 with the session; its token is in a cookie, or in the answer for `"transport": "bearer"`.

        The session that the request carries ends: the new one replaces it.
        """
        self._limits.check_network(request, response, SIGN_INS)
        body = parse(read_body(request), Credentials)
        self._limits.check_address(SIGN_INS, body.email)
        client = (request.user_agent or "")[:_CLIENT_LENGTH]
        token, session = self._sign_in.sign_in(
            email=body.email, password=body.password.get_secret_value(), client=client
        )
        self._end_replaced(request)
        shown = _shown(session)
        if body.transport == "bearer":
            shown = NewSessionView(**shown, token=token)
        else:
            self._cookie.set(request, response, token, seconds=ABSOLUTE_SECONDS)
        send(request, response, json_answer(shown, status=201))

    def _end_replaced(self, request: falcon.Request) -> None:
        """End the session that the request carries. Best effort: the new one has begun."""
        try:
            token, _ = carried_token(request, self._cookie)
            replaced = self._sessions.find(token) if token else None
            if replaced is not None:
                self._sign_in.sign_out(UUID(replaced.user_id), UUID(replaced.id))
        except (MoneyFlowError, psycopg.Error) as error:
            log.warning("replaced_session_kept", error=str(error), consequence="it ends by its expiry")

    @signed_in
    @describes("list_sessions", answers={200: OwnSessionsView})
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        """List the caller's sessions, the newest first; `current` marks the one that asks."""
        caller = caller_of(request)
        items: list[OwnSessionView] = [
            {**_shown(session), "client": session.client, "current": session.id == caller.session.id}
            for session in self._sessions.of_user(caller.user_id)
        ]
        shown: OwnSessionsView = {"items": items, "next_cursor": None}
        send(request, response, json_answer(shown))


class OwnSession:
    """One session of the caller; `current` is the one that asks."""

    def __init__(self, sign_in: SignIn, cookie: SessionCookie) -> None:
        self._sign_in = sign_in
        self._cookie = cookie

    @signed_in
    @describes("end_session", answers={204: None}, parameters={"session_id": UUID | Literal["current"]})
    def on_delete(self, request: falcon.Request, response: falcon.Response, session_id: str) -> None:
        """End the session: 204."""
        caller = caller_of(request)
        current = UUID(caller.session.id)
        ended = current if session_id == "current" else id_of("session", session_id, found="GET /v1/sessions")
        if not self._sign_in.sign_out(caller.user_id, ended):
            raise NotFoundError(f"there is no session {ended}")
        if ended == current and caller.by_cookie:
            self._cookie.remove(request, response)
        send(request, response, _SIGNED_OUT)


def _shown(session: UserSession) -> SessionView:
    return {
        "id": UUID(session.id),
        "user_id": UUID(session.user_id),
        "created_at": from_timestamp(session.created_at),
        "expires_at": from_timestamp(session.expires_at),
    }
