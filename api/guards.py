"""Guards: which callers each responder serves, and who the caller of a request is.

Every responder says whom it serves::

    @signed_in
    def on_get(self, request, response): …

The middleware refuses all others before the responder runs, and the application does not start with a responder that
says nothing, so no route is open by accident.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeVar, cast
from uuid import UUID

import falcon

from api.session_cookie import SessionCookie
from moneyflow.accounts.sessions import Sessions, UserSession
from moneyflow.platform.database import Session
from moneyflow.platform.errors import ForbiddenError, UnauthenticatedError
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.telemetry import origin

#: The header that a browser sends with each request that changes something by cookie. SECURITY: no form and no link of
#: another site can send it, and CORS lets only the configured origins.
CSRF_HEADER = "X-CSRF-Protection"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER = "bearer "

R = TypeVar("R", bound=Callable[..., None])


class Audience(Enum):
    """The callers that a responder serves."""

    PUBLIC = auto()  #: Every caller.
    OPTIONALLY_SIGNED_IN = auto()  #: Every caller; one with a session is known.
    SIGNED_IN = auto()  #: Users with a session.
    ADMINISTRATORS = auto()  #: Users with a session and the role `administrator`.


def _guard(audience: Audience) -> Callable[[R], R]:
    def mark(responder: R) -> R:
        cast("Any", responder).audience = audience
        return responder

    return mark


public = _guard(Audience.PUBLIC)
optionally_signed_in = _guard(Audience.OPTIONALLY_SIGNED_IN)
signed_in = _guard(Audience.SIGNED_IN)
administrators = _guard(Audience.ADMINISTRATORS)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The signed-in user who makes a request, and the session."""

    user_id: UUID
    session: UserSession
    by_cookie: bool

    @property
    def is_administrator(self) -> bool:
        """Return whether the user's role is `administrator`."""
        return self.session.role == "administrator"


def caller_of(request: falcon.Request) -> Caller:
    """Return the caller of a request that a guard has let through."""
    caller: Caller = request.context.caller
    return caller


def optional_caller(request: falcon.Request) -> Caller | None:
    """Return the caller, or None where the request has no session."""
    caller: Caller | None = getattr(request.context, "caller", None)
    return caller


def owner_scope(request: falcon.Request, session: Session) -> OwnerScope:
    """Return the session for statements that see the caller's rows; those that allow it see all for administrators."""
    caller = optional_caller(request)
    if caller is None:
        return OwnerScope(session, None)
    return OwnerScope(session, caller.user_id, sees_all=caller.is_administrator)


def audience_of(resource: object, method: str) -> Audience | None:
    """Return the callers that a resource serves with a method; None when its responder does not say."""
    responder = getattr(resource, f"on_{method.lower()}", None)
    audience: Audience | None = getattr(responder, "audience", None)
    return audience


def carried_token(request: falcon.Request, cookie: SessionCookie) -> tuple[str | None, bool]:
    """Return the token of the session that a request carries, or None, and whether it is in the cookie.

    Raises:
        UnauthenticatedError: the header `Authorization` has another form.
    """
    header = request.get_header("Authorization")
    if header is None:
        return cookie.read(request), True
    if not header.lower().startswith(_BEARER):
        raise UnauthenticatedError("the header Authorization has the form: Bearer TOKEN")
    return header[len(_BEARER) :].strip(), False


class Guards:
    """Falcon middleware: finds the caller's session and refuses callers that the responder does not serve."""

    def __init__(self, sessions: Sessions, *, cookie: SessionCookie) -> None:
        self._sessions = sessions
        self._cookie = cookie

    def process_resource(
        self, request: falcon.Request, _response: falcon.Response, resource: object, _params: dict[str, Any]
    ) -> None:
        """Check the caller.

        Raises:
            UnauthenticatedError: there is no session, or it has ended.
            ForbiddenError: the role does not suffice, or the request of a browser misses the header against CSRF.
            UnavailableError: Redis is down.
        """
        audience = audience_of(resource, request.method)
        if audience is None or audience is Audience.PUBLIC:
            return
        caller = self._caller(request, is_optional=audience is Audience.OPTIONALLY_SIGNED_IN)
        if caller is None:
            return
        if audience is Audience.ADMINISTRATORS and not caller.is_administrator:
            raise ForbiddenError("only an administrator may do this")
        request.context.caller = caller
        acting = replace(origin.current(), actor_id=caller.session.user_id, is_anonymous=False)
        request.context.carried.enter_context(origin.working_for(acting))

    def _caller(self, request: falcon.Request, *, is_optional: bool) -> Caller | None:
        """Return the caller; None where a session is optional and the request has none, or a cookie of an ended one."""
        token, by_cookie = carried_token(request, self._cookie)
        session = self._sessions.find(token) if token else None
        if session is None and is_optional and by_cookie:
            return None
        if session is None:
            raise UnauthenticatedError("sign in by POST /v1/sessions, and send its cookie or its bearer token")
        if by_cookie and request.method not in SAFE_METHODS and not request.get_header(CSRF_HEADER):
            raise ForbiddenError(f"a request by cookie that changes something needs the header {CSRF_HEADER}: 1")
        return Caller(user_id=UUID(session.user_id), session=session, by_cookie=by_cookie)
