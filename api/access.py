"""What is told of every request: its id in and out, one log line, its metrics."""

import re
import time
from contextlib import ExitStack

import falcon
import structlog

from moneyflow.platform.ids import new_id
from moneyflow.platform.telemetry import metrics
from moneyflow.platform.telemetry.origin import Origin, child_traceparent, working_for

log = structlog.get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_DRAINED_BYTES = 1024 * 1024
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Access:
    """Falcon middleware: carries the request's id to every log line, job and event that comes of the request."""

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take the request's id, or make one."""
        given = request.get_header("X-Request-Id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
        request.context.request_id = request_id
        request.context.began = time.perf_counter()
        request.context.carried = ExitStack()
        traceparent = child_traceparent(request.get_header("traceparent"))
        origin = Origin(correlation_id=request_id, traceparent=traceparent)
        request.context.carried.enter_context(working_for(origin))
        response.set_header("X-Request-Id", request_id)
        response.set_header("Cache-Control", "no-store")
        response.set_header("X-Content-Type-Options", "nosniff")

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Tell how it went. The route's template is told, never its path: a path may hold what is private."""
        route = request.uri_template or "unmatched"
        seconds = time.perf_counter() - request.context.began
        method = request.method if request.method in falcon.HTTP_METHODS else "other"
        status = response.status[:3] if isinstance(response.status, str) else str(int(response.status))
        metrics.http_requests.labels(method, route, status).inc()
        metrics.http_request_seconds.labels(method, route).observe(seconds)
        if route not in _QUIET:
            log.info("request", method=method, route=route, status=int(status), seconds=round(seconds, 4))
        request.context.carried.close()
        _drain(request)


def _drain(request: falcon.Request) -> None:
    """Read what is left of a body of a refused request, within bounds.

    gunicorn closes a connection on which a body was not read, and a client that has it in its pool meets the end of it
    at its next request.
    """
    left = min(request.content_length or 0, _DRAINED_BYTES)
    while left > 0 and (piece := request.bounded_stream.read(min(left, 64 * 1024))):
        left -= len(piece)
