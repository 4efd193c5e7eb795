"""Errors as HTTP answers: RFC 9457 problem+json, with the status that each error of the tree means."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, NotRequired

import falcon
import orjson
import psycopg
import structlog
from pydantic import Field
from typing_extensions import TypedDict

from api.access import request_id_of
from moneyflow.platform.database import is_transient
from moneyflow.platform.errors import (
    BusyError,
    ConflictError,
    ForbiddenError,
    InProgressError,
    InvalidInputError,
    MoneyFlowError,
    NotFoundError,
    PreconditionFailedError,
    PreconditionRequiredError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
#: Where the problems are explained, each under its title; with it begins the `type` of every problem.
PROBLEMS_PATH = "/docs/problems"

#: The status of each expected error, the first that fits. An expected error that is not here is a bug of the API.
STATUSES: tuple[tuple[type[MoneyFlowError], HTTPStatus], ...] = (
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (UnauthenticatedError, HTTPStatus.UNAUTHORIZED),
    (ForbiddenError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (PreconditionFailedError, HTTPStatus.PRECONDITION_FAILED),
    (PreconditionRequiredError, HTTPStatus.PRECONDITION_REQUIRED),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (RateLimitedError, HTTPStatus.TOO_MANY_REQUESTS),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
#: Seconds until a client repeats its request while a server is down; a restart takes about as long.
_RETRY_AFTER_SECONDS = 2
_DOWN = "it is unknown whether anything was written; repeat the request with the same Idempotency-Key"
_BUG = "this is an error of the server; report the id in `instance` if it persists"
#: The titles of statuses whose phrase is another one in an older Python.
_TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Range Not Satisfiable",
}
BUG_TITLE = "Internal error"
#: Where Falcon gives no description.
_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is no resource at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address takes other methods; see the header Allow",
}


class FieldProblem(TypedDict):
    """One thing to correct in the request: a JSON pointer (RFC 6901), and what to change there."""

    pointer: Annotated[str, Field(examples=["/email"])]
    detail: Annotated[str, Field(examples=["must have at most 254 characters"])]


class Problem(TypedDict):
    """An error (RFC 9457); `instance` is the id of the request, by which operators find it in the logs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: NotRequired[list[FieldProblem]]


def install_problems(
    app: falcon.App[falcon.Request, falcon.Response], report_error: Callable[[BaseException], None]
) -> None:
    """Answer every error of the application with a problem; `report_error` is called with each that is a bug."""
    problems = _Problems(report_error)
    app.add_error_handler(Exception, problems.on_bug)
    app.add_error_handler(psycopg.Error, problems.on_postgres)
    app.add_error_handler(MoneyFlowError, problems.on_expected)
    app.add_error_handler(falcon.HTTPError, _on_http_error)


def type_of(title: str) -> str:
    """Return the `type` of a problem, by which a program distinguishes it from others of the same status."""
    return f"{PROBLEMS_PATH}#{title.lower().replace(' ', '-')}"


def title_of(status: HTTPStatus) -> str:
    """Return the title of an error that the framework finds, such as a body that is no JSON."""
    return _TITLES.get(status, status.phrase)


class _Problems:
    """Answers the errors of the application; `report_error` is called with each that no code expects."""

    def __init__(self, report_error: Callable[[BaseException], None]) -> None:
        self._report_error = report_error

    def on_expected(
        self, request: falcon.Request, response: falcon.Response, error: MoneyFlowError, parameters: object
    ) -> None:
        """Answer an error of the tree."""
        status = next((status for kind, status in STATUSES if isinstance(error, kind)), None)
        if status is None:
            self.on_bug(request, response, error, parameters)
            return
        if isinstance(error, RateLimitedError):
            response.set_headers(error.headers)
        if isinstance(error, BusyError | RateLimitedError | InProgressError):
            response.set_header("Retry-After", str(error.retry_after_seconds))
        if status is HTTPStatus.UNAUTHORIZED:
            response.set_header("WWW-Authenticate", "Bearer")
        if isinstance(error, UnavailableError):
            response.set_header("Retry-After", str(_RETRY_AFTER_SECONDS))
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            log.warning("request_rejected", error=error.detail)
        # SECURITY: which server is down is logged for operators, and not answered.
        detail = _DOWN if isinstance(error, UnavailableError) else error.detail
        errors = error.errors if isinstance(error, InvalidInputError) else ()
        _answer(request, response, status, title=error.title, detail=detail, errors=errors)

    def on_postgres(
        self, request: falcon.Request, response: falcon.Response, error: psycopg.Error, parameters: object
    ) -> None:
        """Answer an error of Postgres."""
        if not is_transient(error):
            self.on_bug(request, response, error, parameters)
            return
        log.warning("request_rejected", error=str(error))
        response.set_header("Retry-After", str(_RETRY_AFTER_SECONDS))
        _answer(request, response, HTTPStatus.SERVICE_UNAVAILABLE, title=UnavailableError.title, detail=_DOWN)

    def on_bug(self, request: falcon.Request, response: falcon.Response, error: Exception, _: object) -> None:
        """Answer an error that no code expects, and report it."""
        # SECURITY: the text of an unexpected error is logged, and neither answered nor reported.
        log.error("request_failed", exc_info=error)
        self._report_error(error)
        _answer(request, response, HTTPStatus.INTERNAL_SERVER_ERROR, title=BUG_TITLE, detail=_BUG)


def _on_http_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: object) -> None:
    status = HTTPStatus(error.status_code)
    for name, value in dict(error.headers or {}).items():
        response.set_header(name, value)
    detail = error.description or _DETAILS.get(status, status.description) or status.phrase
    _answer(request, response, status, title=title_of(status), detail=detail)


def _answer(
    request: falcon.Request,
    response: falcon.Response,
    status: HTTPStatus,
    *,
    title: str,
    detail: str,
    errors: tuple[tuple[str, str], ...] = (),
) -> None:
    problem: Problem = {
        "type": type_of(title),
        "title": title,
        "status": status.value,
        "detail": detail,
        "instance": request_id_of(request),
    }
    if errors:
        problem["errors"] = [{"pointer": pointer, "detail": text} for pointer, text in errors]
    response.status = f"{status.value} {status.phrase}"
    response.content_type = CONTENT_TYPE
    response.data = orjson.dumps(problem)
