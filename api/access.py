"""Access middleware: the request id, the headers of every answer, one log line and the metrics of every request."""

import time
from collections.abc import Mapping
from contextlib import ExitStack

import falcon
import structlog

from moneyflow.platform.http import metrics
from moneyflow.platform.ids import new_id
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry.origin import Origin, child_traceparent, working_for

log = structlog.get_logger(__name__)

_REQUEST_ID = Pattern(r"[A-Za-z0-9._:-]{1,128}", longest=128)
_HOST = Pattern(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?", longest=270)
#: Probed every few seconds: counted, not logged.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Access:
    """Falcon middleware: carries the request id to every log line, job and event of the request.

    `headers` are those that every answer begins with.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take the request id from `X-Request-Id`, or make one.

        Raises:
            falcon.HTTPBadRequest: the header `Host` is missing, repeated, or no name of a host.
        """
        self._begin(request, response)
        host = request.env.get("HTTP_HOST", "")
        # HTTP/1.0 has no such header, and old health checks of balancers speak it.
        if not (_HOST.fullmatch(host) or (not host and request.env.get("SERVER_PROTOCOL") == "HTTP/1.0")):
            raise falcon.HTTPBadRequest(description="send one header Host with the name of this server")

    def _begin(self, request: falcon.Request, response: falcon.Response) -> None:
        request_id = request_id_of(request)
        request.context.started = time.perf_counter()
        request.context.carried = ExitStack()
        traceparent = child_traceparent(request.get_header("traceparent"))
        origin = Origin(correlation_id=request_id, traceparent=traceparent, is_anonymous=True)
        request.context.carried.enter_context(working_for(origin))
        response.set_headers(self._headers)
        response.set_header("X-Request-Id", request_id)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Count and log the request by its route's template. SECURITY: not by its path, which may hold private ids."""
        if not hasattr(request.context, "started"):
            self._begin(request, response)  # Falcon refuses some methods before any middleware.
        route = request.uri_template or "unmatched"
        seconds = time.perf_counter() - request.context.started
        method = request.method if request.method in falcon.HTTP_METHODS else "other"
        status = response.status[:3] if isinstance(response.status, str) else str(int(response.status))
        metrics.http_requests.labels(method, route, status).inc()
        metrics.http_request_seconds.labels(method, route).observe(seconds)
        if route not in _QUIET:
            log.info("request_answered", method=method, route=route, status=int(status), seconds=round(seconds, 4))
        request.context.carried.close()


def request_id_of(request: falcon.Request) -> str:
    """Return the request's id: that of `X-Request-Id`, or one that the first call makes."""
    if not hasattr(request.context, "request_id"):
        given = request.get_header("X-Request-Id") or ""
        request.context.request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
    request_id: str = request.context.request_id
    return request_id
