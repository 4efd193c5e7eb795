"""The session's cookie: for this host alone, out of reach of scripts, and over https; plain only in development."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

import falcon

from api.proxies import is_in

#: SECURITY: browsers take `__Host-` only with Secure, without Domain, for `/`.
_SECURE_NAME = "__Host-session"
#: For a frontend in development, whose requests come by plain http.
_PLAIN_NAME = "session"
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


@dataclass(frozen=True, kw_only=True)
class SessionCookie:
    """The session's cookie: its name and its attributes follow how a request came, and in production are one."""

    #: Whether requests by plain http to this machine, or to an application that is on http, get a plain cookie.
    is_dev: bool = False
    #: Whether the application is on https (`APP_URL`).
    is_https: bool = True
    #: The networks of the proxies that may say how a request came, by `X-Forwarded-Proto`.
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()

    def read(self, request: falcon.Request) -> str | None:
        """Return the token that the browser sent, or None; in development under either name."""
        sent = self._sent(request)
        return sent[self._name(request)] if self._name(request) in sent else next(iter(sent.values()), None)

    def set(self, request: falcon.Request, response: falcon.Response, token: str, *, seconds: int) -> None:
        """Give the browser the token."""
        _set(response, self._name(request), token, seconds=seconds)

    def remove(self, request: falcon.Request, response: falcon.Response) -> None:
        """Have the browser drop the token, under each name that it sent."""
        for name in {self._name(request), *self._sent(request)}:
            _set(response, name, "", seconds=0)

    def _name(self, request: falcon.Request) -> str:
        is_plain = self.is_dev and self._scheme(request) == "http"
        return _PLAIN_NAME if is_plain and (request.host in _LOCAL_HOSTS or not self.is_https) else _SECURE_NAME

    def _sent(self, request: falcon.Request) -> dict[str, str]:
        names = (_SECURE_NAME, _PLAIN_NAME) if self.is_dev else (_SECURE_NAME,)
        values = {name: request.get_cookie_values(name) for name in names}
        return {name: value[0] for name, value in values.items() if value}

    def _scheme(self, request: falcon.Request) -> str:
        forwarded = request.get_header("X-Forwarded-Proto")
        return forwarded if forwarded and is_in(request.remote_addr, self.trusted_proxies) else request.scheme


def _set(response: falcon.Response, name: str, token: str, *, seconds: int) -> None:
    response.set_cookie(
        name, token, max_age=seconds, path="/", secure=name == _SECURE_NAME, http_only=True, same_site="Lax"
    )
