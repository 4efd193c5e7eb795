"""Errors as answers: RFC 9457 problem+json for everything, the tree of expected errors read as HTTP status."""

from http import HTTPStatus
from typing import Any

import falcon
import orjson
import psycopg
import structlog

from moneyflow.platform.database import is_outage
from moneyflow.platform.errors import (
    BusyError,
    ConflictError,
    InvalidInputError,
    MoneyFlowError,
    NotFoundError,
    UnavailableError,
)

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"

#: The status of each kind of expected error; the first that fits.
_STATUS: tuple[tuple[type[MoneyFlowError], HTTPStatus], ...] = (
    (InvalidInputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (ConflictError, HTTPStatus.CONFLICT),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UnavailableError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_RETRY_AFTER_SECONDS = 2
_AWAY = "it is not known whether anything was written; repeat the request with the same Idempotency-Key"


def install_problems(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Let every error of the application be answered as a problem."""
    app.add_error_handler(Exception, _on_bug)
    app.add_error_handler(psycopg.Error, _on_postgres)
    app.add_error_handler(MoneyFlowError, _on_expected)
    app.add_error_handler(falcon.HTTPError, _on_http_error)


def _on_expected(request: falcon.Request, response: falcon.Response, error: MoneyFlowError, _: object) -> None:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        wait = error.retry_after_seconds if isinstance(error, BusyError) else _RETRY_AFTER_SECONDS
        response.set_header("Retry-After", str(wait))
        log.warning("unavailable", error=error.detail)
    # What is away is for operators to know.
    detail = _AWAY if isinstance(error, UnavailableError) else error.detail
    errors = error.errors if isinstance(error, InvalidInputError) else ()
    extra = {"errors": [{"pointer": pointer, "detail": detail} for pointer, detail in errors]} if errors else {}
    _answer(request, response, status, title=error.title, detail=detail, **extra)


def _on_http_error(request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: object) -> None:
    status = HTTPStatus(error.status_code)
    for name, value in dict(error.headers or {}).items():
        response.set_header(name, value)
    detail = error.description or _DETAILS.get(status, status.description) or status.phrase
    _answer(request, response, status, title=status.phrase, detail=detail)


def _on_postgres(request: falcon.Request, response: falcon.Response, error: psycopg.Error, parameters: object) -> None:
    if not is_outage(error):
        _on_bug(request, response, error, parameters)
        return
    log.warning("unavailable", error=str(error))
    response.set_header("Retry-After", str(_RETRY_AFTER_SECONDS))
    _answer(request, response, HTTPStatus.SERVICE_UNAVAILABLE, title=UnavailableError.title, detail=_AWAY)


def _on_bug(request: falcon.Request, response: falcon.Response, error: Exception, _: object) -> None:
    # SECURITY: what an unexpected error says goes to the log, never to who asked.
    log.error("unexpected_error", exc_info=error)
    detail = "this is our fault; tell us the id in `instance` when it stays"
    _answer(request, response, HTTPStatus.INTERNAL_SERVER_ERROR, title="Internal error", detail=detail)


def _answer(
    request: falcon.Request, response: falcon.Response, status: HTTPStatus, *, title: str, detail: str, **extra: Any
) -> None:
    problem = {
        "type": "about:blank",
        "title": title,
        "status": status.value,
        "detail": detail,
        "instance": request.context.request_id,
        **extra,
    }
    response.status = f"{status.value} {status.phrase}"
    response.content_type = CONTENT_TYPE
    response.data = orjson.dumps(problem)


_DETAILS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address takes other methods; see the header Allow",
}
