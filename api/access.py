"""Access middleware: the request id, one log line and the metrics of every request."""

import time
from contextlib import ExitStack

import falcon
import structlog

from api.headers import COMMON_HEADERS
from moneyflow.platform.http import metrics
from moneyflow.platform.ids import new_id
from moneyflow.platform.patterns import Pattern
from moneyflow.platform.telemetry.origin import Origin, child_traceparent, working_for

log = structlog.get_logger(__name__)

_REQUEST_ID = Pattern(r"[A-Za-z0-9._:-]{1,128}", longest=128)
#: Probed every few seconds: counted, not logged.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


class Access:
    """Falcon middleware: carries the request id to every log line, job and event of the request."""

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Take the request id from `X-Request-Id`, or make one."""
        given = request.get_header("X-Request-Id") or ""
        request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
        request.context.request_id = request_id
        request.context.started = time.perf_counter()
        request.context.carried = ExitStack()
        traceparent = child_traceparent(request.get_header("traceparent"))
        origin = Origin(correlation_id=request_id, traceparent=traceparent, is_anonymous=True)
        request.context.carried.enter_context(working_for(origin))
        response.set_header("X-Request-Id", request_id)
        response.set_headers(COMMON_HEADERS)

    def process_response(
        self, request: falcon.Request, response: falcon.Response, _resource: object, _succeeded: bool
    ) -> None:
        """Count and log the request by its route's template. SECURITY: not by its path, which may hold private ids."""
        route = request.uri_template or "unmatched"
        seconds = time.perf_counter() - request.context.started
        method = request.method if request.method in falcon.HTTP_METHODS else "other"
        status = response.status[:3] if isinstance(response.status, str) else str(int(response.status))
        metrics.http_requests.labels(method, route, status).inc()
        metrics.http_request_seconds.labels(method, route).observe(seconds)
        if route not in _QUIET:
            log.info("request_answered", method=method, route=route, status=int(status), seconds=round(seconds, 4))
        request.context.carried.close()
