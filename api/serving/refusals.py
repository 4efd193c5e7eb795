"""Refusals: the answers to requests that cannot be read, and so never reach the application.

SECURITY: neither the answer nor the log repeats anything that the client has sent.
"""

from dataclasses import dataclass
from http import HTTPStatus

import orjson
import structlog
from gunicorn.http import errors  # type: ignore[import-untyped]
from gunicorn_h1c import LimitRequestHeaders, LimitRequestLine  # type: ignore[import-untyped]

from api.headers import COMMON_HEADERS
from api.problems import BUG_TITLE, CONTENT_TYPE, title_of, type_of
from moneyflow.platform.http import metrics
from moneyflow.platform.ids import new_id

log = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = 2
#: As in `api/access.py`, for a request without a route.
_UNKNOWN = ("other", "unmatched")


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: the status, and what the client can do."""

    status: HTTPStatus
    detail: str

    def answer(self) -> bytes:
        """Return the answer as problem+json; count and log it."""
        request_id = str(new_id())
        metrics.http_requests.labels(*_UNKNOWN, str(self.status.value)).inc()
        log.info("request_refused", status=self.status.value, detail=self.detail, correlation_id=request_id)
        title = BUG_TITLE if self.status is HTTPStatus.INTERNAL_SERVER_ERROR else title_of(self.status)
        problem = {
            "type": type_of(title),
            "title": title,
            "status": self.status.value,
            "detail": self.detail,
            "instance": request_id,
        }
        body = orjson.dumps(problem)
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Content-Length": str(len(body)),
            "Connection": "close",
            "X-Request-Id": request_id,
            **COMMON_HEADERS,
        }
        if self.status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            *(f"{name}: {headers[name]}" for name in headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body


MALFORMED = Refusal(
    HTTPStatus.BAD_REQUEST, "the request is not valid HTTP/1.1; correct its first line, headers or chunks"
)
TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "the request did not come in time; send it again, whole and at once")
TOO_LARGE = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is larger than any that is read; send less")
TOO_LONG = Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "the first line is too long; shorten the address")
TOO_MANY_HEADERS = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "there are too many headers, or one is too long; send fewer or shorter"
)
NO_ROOM = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are being received; repeat the request")
BUG = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "this is an error of the server; report the id in `instance`")

#: The refusal for each error of gunicorn and of its parser, the first that fits.
_REFUSALS: tuple[tuple[type[Exception], Refusal], ...] = (
    (LimitRequestLine, TOO_LONG),
    (LimitRequestHeaders, TOO_MANY_HEADERS),
    (errors.LimitRequestLine, TOO_LONG),
    (errors.LimitRequestHeaders, TOO_MANY_HEADERS),
    (errors.ExpectationFailed, Refusal(HTTPStatus.EXPECTATION_FAILED, "the header Expect may be 100-continue only")),
    (errors.UnsupportedTransferCoding, Refusal(HTTPStatus.NOT_IMPLEMENTED, "Transfer-Encoding may be chunked only")),
    (errors.InvalidResponseHeader, BUG),
    (errors.InvalidResponseHeaderName, BUG),
    (errors.ConfigurationProblem, BUG),
    (errors.ParseException, MALFORMED),
    (errors.NoMoreData, MALFORMED),
)


def refusal_of(error: Exception, *, otherwise: Refusal = BUG) -> Refusal:
    """Return the refusal of a request that ended with this error."""
    return next((refusal for kind, refusal in _REFUSALS if isinstance(error, kind)), otherwise)
