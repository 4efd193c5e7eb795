"""The session's cookie: its name and attributes by how the request came, in development and in production."""

from ipaddress import IPv4Network

import falcon
import falcon.testing
import pytest

from api.session_cookie import SessionCookie

_PROXY = IPv4Network("127.0.0.1/32")
_SECURE, _PLAIN = "__Host-session", "session"


def _request(scheme: str, host: str, forwarded: str | None = None, cookie: str = "") -> falcon.Request:
    headers = {"Cookie": cookie} | ({"X-Forwarded-Proto": forwarded} if forwarded else {})
    return falcon.testing.create_req(scheme=scheme, host=host, headers=headers, remote_addr="127.0.0.1")


def _given(cookie: SessionCookie, request: falcon.Request) -> tuple[str, bool]:
    """Return the name of the cookie that an answer sets, and whether it is Secure."""
    response = falcon.Response()
    cookie.set(request, response, "token", seconds=60)
    (line,) = [value for name, value in response._wsgi_headers() if name == "set-cookie"]
    assert ("HttpOnly" in line, "Path=/" in line, "SameSite=Lax" in line, "Domain" in line) == (True, True, True, False)
    return line.partition("=")[0], "Secure" in line


@pytest.mark.parametrize(
    ("scheme", "host", "forwarded", "trusted", "name"),
    [
        ("http", "localhost", None, (), _PLAIN),
        ("http", "127.0.0.1", None, (), _PLAIN),
        ("http", "localhost", "http", (_PROXY,), _PLAIN),
        ("http", "localhost", "https", (_PROXY,), _SECURE),
        ("http", "localhost", "https", (), _PLAIN),
        ("https", "localhost", "http", (), _SECURE),
        ("https", "localhost", None, (), _SECURE),
        ("http", "app.example.com", None, (), _SECURE),
    ],
)
def test_in_development_a_request_by_http_to_this_machine_gets_a_plain_cookie(
    scheme: str, host: str, forwarded: str | None, trusted: tuple[IPv4Network, ...], name: str
) -> None:
    cookie = SessionCookie(is_dev=True, is_https=True, trusted_proxies=trusted)

    assert _given(cookie, _request(scheme, host, forwarded)) == (name, name == _SECURE)


def test_in_development_an_application_on_http_gives_plain_cookies_under_every_host() -> None:
    assert _given(SessionCookie(is_dev=True, is_https=False), _request("http", "pc.example")) == (_PLAIN, False)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_in_production_there_is_one_secure_cookie(scheme: str) -> None:
    cookie = SessionCookie(is_dev=False)

    assert _given(cookie, _request(scheme, "localhost")) == (_SECURE, True)
    assert cookie.read(_request(scheme, "localhost", cookie="session=plain")) is None
    assert cookie.read(_request(scheme, "localhost", cookie="session=plain; __Host-session=ours")) == "ours"


@pytest.mark.parametrize(
    ("scheme", "sent", "token"),
    [
        ("http", "session=plain", "plain"),
        ("http", "__Host-session=secure", "secure"),
        ("http", "__Host-session=secure; session=plain", "plain"),
        ("https", "__Host-session=secure; session=plain", "secure"),
        ("https", "session=plain", "plain"),
        ("https", "", None),
    ],
)
def test_in_development_both_names_are_read_and_both_are_dropped(scheme: str, sent: str, token: str | None) -> None:
    cookie, request = SessionCookie(is_dev=True), _request(scheme, "localhost", cookie=sent)
    response = falcon.Response()

    cookie.remove(request, response)

    dropped = {value.partition("=")[0] for name, value in response._wsgi_headers() if name == "set-cookie"}
    assert cookie.read(request) == token
    assert dropped >= {part.partition("=")[0] for part in sent.split("; ") if part}
