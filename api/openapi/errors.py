"""Errors of an operation: which problems it can answer, by what its description and its guard say."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from api.descriptions import Description
from api.guards import SAFE_METHODS, Audience
from api.problems import BUG_TITLE, CONTENT_TYPE, STATUSES, title_of, type_of
from moneyflow.platform.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    MoneyFlowError,
    NotFoundError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)

#: The headers of a route whose requests are limited.
LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
#: The headers of a problem, by its status.
_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After", *LIMIT_HEADERS), 503: ("Retry-After",)}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of problem: its status, its title and when it is answered."""

    status: int
    title: str
    meaning: str

    @property
    def name(self) -> str:
        """Return the title as one word."""
        return "".join(word.capitalize() for word in self.title.split())

    @property
    def type(self) -> str:
        """Return the `type` of its problems."""
        return type_of(self.title)

    @property
    def anchor(self) -> str:
        """Return the place on the page that explains it."""
        return self.type.partition("#")[2]

    def example(self) -> dict[str, Any]:
        """Return a problem of this kind."""
        return {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.meaning,
            "instance": "0198f0a2-7c1e-7d3a-9b55-0c6a1f0e7d11",
        }


def _expected(error: type[MoneyFlowError]) -> Kind:
    status = next(status for kind, status in STATUSES if issubclass(error, kind))
    meaning = (error.__doc__ or "").partition("\n")[0]
    return Kind(status=status.value, title=error.title, meaning=meaning)


def _of_framework(status: HTTPStatus, meaning: str) -> Kind:
    return Kind(status=status.value, title=title_of(status), meaning=meaning)


MALFORMED = _of_framework(HTTPStatus.BAD_REQUEST, "The request is malformed, such as a body that is not JSON.")
NO_SUCH_METHOD = _of_framework(
    HTTPStatus.METHOD_NOT_ALLOWED, "The address takes other methods; they are in the header Allow."
)
TOO_LARGE = _of_framework(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is larger than this route takes.")
WRONG_TYPE = _of_framework(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The content of the body is not of a type that this route takes."
)
NO_SUCH_PART = _of_framework(
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "The file has no such bytes; its size is in the header Content-Range."
)
BUG = Kind(status=500, title=BUG_TITLE, meaning="An error of the server; report its `instance` if it persists.")

EVERY = (
    MALFORMED,
    NO_SUCH_METHOD,
    TOO_LARGE,
    WRONG_TYPE,
    NO_SUCH_PART,
    *(_expected(error) for error, _ in STATUSES),
    BUG,
)
#: What is answered to a request that never reaches a route: by the API's own server, or by nginx before it.
AT_THE_DOOR = (
    _of_framework(HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time."),
    _of_framework(HTTPStatus.LENGTH_REQUIRED, "The body has no length."),
    _of_framework(HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long."),
    _of_framework(HTTPStatus.EXPECTATION_FAILED, "The header Expect may be 100-continue only."),
    _of_framework(HTTPStatus.MISDIRECTED_REQUEST, "The connection is for another host."),
    _of_framework(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "There are too many headers, or one is too long."),
    _of_framework(HTTPStatus.NOT_IMPLEMENTED, "Transfer-Encoding may be chunked only."),
    _of_framework(HTTPStatus.BAD_GATEWAY, "No replica of the API answered."),
    _of_framework(HTTPStatus.GATEWAY_TIMEOUT, "The API did not answer in time."),
)


def kinds_of(method: str, path: str, audience: Audience | None, description: Description) -> dict[int, list[Kind]]:
    """Return the kinds of problems that an operation can answer, by status."""
    found: dict[int, list[Kind]] = defaultdict(list)
    for kind in dict.fromkeys(_kinds(method, path, audience, description)):
        found[kind.status].append(kind)
    return dict(sorted(found.items()))


def _kinds(method: str, path: str, audience: Audience | None, description: Description) -> Iterator[Kind]:
    yield from (MALFORMED, BUG)
    if description.body is not None:
        yield from (TOO_LARGE, WRONG_TYPE)
    if description.ranges:
        yield NO_SUCH_PART
    follows: dict[type[MoneyFlowError], bool] = {
        UnauthenticatedError: audience is not Audience.PUBLIC,
        ForbiddenError: audience is Audience.ADMINISTRATORS
        or (audience is Audience.SIGNED_IN and method not in SAFE_METHODS),
        NotFoundError: "{" in path,
        ConflictError: description.idempotent,
        PreconditionFailedError: description.if_match,
        PreconditionRequiredError: description.if_match,
        InvalidInputError: description.body is not None or bool(description.parameters.keys() - names_in(path)),
        RateLimitedError: description.limited,
        UnavailableError: not description.local,
    }
    yield from (_expected(error) for error, does in follows.items() if does)
    yield from map(_expected, description.errors)


def names_in(path: str) -> list[str]:
    """Return the names of the parameters in a path."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def response_name(kinds: list[Kind]) -> str:
    """Return the name of the response that any of these problems is."""
    return "Or".join(kind.name for kind in kinds)


def response(kinds: list[Kind]) -> dict[str, Any]:
    """Return the response that any of these problems, which have one status, is."""
    types = {"properties": {"type": {"enum": [kind.type for kind in kinds]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, types]}
    examples = {kind.name: {"value": kind.example()} for kind in kinds}
    return {
        "description": "\n\n".join(f"{kind.title}: {kind.meaning}" for kind in kinds),
        "headers": headers("X-Request-Id", *_HEADERS.get(kinds[0].status, ())),
        "content": {CONTENT_TYPE: {"schema": schema, "examples": examples}},
    }


def headers(*names: str) -> dict[str, dict[str, str]]:
    """Return references to these headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
