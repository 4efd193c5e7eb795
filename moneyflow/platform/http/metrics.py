"""Metrics of HTTP requests."""

from prometheus_client import Counter, Histogram

#: Seconds; a request that takes longer than 5 is broken, whatever the exact time.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

http_requests = Counter("moneyflow_http_requests_total", "HTTP requests", ["method", "route", "status"])
http_request_seconds = Histogram(
    "moneyflow_http_request_seconds", "Seconds to the answer", ["method", "route"], buckets=_BUCKETS
)
