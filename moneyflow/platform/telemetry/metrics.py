"""The Prometheus metrics of all processes, by the names that dashboards rely on."""

from functools import cache

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

_WAIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

http_requests = Counter("moneyflow_http_requests_total", "HTTP requests", ["method", "route", "status"])
http_request_seconds = Histogram(
    "moneyflow_http_request_seconds", "Time to answer", ["method", "route"], buckets=_REQUEST_BUCKETS
)
jobs_enqueued = Counter("moneyflow_jobs_enqueued_total", "Jobs enqueued and committed", ["job"])
jobs_finished = Counter("moneyflow_jobs_finished_total", "Ends of attempts", ["job", "outcome"])
job_wait_seconds = Histogram("moneyflow_job_wait_seconds", "Due to start", ["job", "priority"], buckets=_WAIT_BUCKETS)
job_run_seconds = Histogram("moneyflow_job_run_seconds", "Start to end", ["job"], buckets=_WAIT_BUCKETS)
jobs_in_state = Gauge("moneyflow_jobs_in_state", "Jobs by state", ["state"], multiprocess_mode="mostrecent")
job_oldest_due_seconds = Gauge(
    "moneyflow_job_oldest_due_seconds", "Age of the oldest due job", ["priority"], multiprocess_mode="mostrecent"
)
jobs_failed_messages = Gauge(
    "moneyflow_jobs_failed_messages", "Messages on jobs_failed", multiprocess_mode="mostrecent"
)
outbox_unpublished = Gauge(
    "moneyflow_outbox_unpublished", "Rows that wait for the relay", ["kind"], multiprocess_mode="mostrecent"
)
outbox_oldest_seconds = Gauge(
    "moneyflow_outbox_oldest_seconds", "Age of the oldest waiting row", ["kind"], multiprocess_mode="mostrecent"
)
schedule_ticks = Counter(
    "moneyflow_schedule_ticks_total", "Ticks of schedules by what became of them", ["schedule", "outcome"]
)
purged_rows = Counter("moneyflow_purged_rows_total", "Rows deleted because they are over", ["table"])
relay_published = Counter("moneyflow_relay_published_total", "Confirmed by the broker", ["kind"])
relay_leader = Gauge("moneyflow_relay_leader", "1 on the relay that publishes", multiprocess_mode="mostrecent")
consumer_lag = Gauge(
    "moneyflow_consumer_lag", "Records behind the end", ["sink", "topic", "partition"], multiprocess_mode="mostrecent"
)
consumer_events = Counter("moneyflow_consumer_events_total", "Records by what became of them", ["sink", "outcome"])
consumer_last_progress = Gauge(
    "moneyflow_consumer_last_progress_timestamp_seconds",
    "When the sink last moved or had nothing to do",
    ["sink"],
    multiprocess_mode="mostrecent",
)
emails = Counter("moneyflow_emails_total", "Mails by what became of them", ["template", "outcome"])


@cache
def of_job(kind: str, priority: int) -> tuple[Histogram, Histogram]:
    """Return a job's wait and run. PERF: to look a labelled metric up takes longer than to count with it."""
    return job_wait_seconds.labels(kind, str(priority)), job_run_seconds.labels(kind)


@cache
def finished(kind: str, outcome: str) -> Counter:
    """Return the count of a kind's ends of attempts, looked up once as above."""
    return jobs_finished.labels(kind, outcome)


CONTENT_TYPE = CONTENT_TYPE_LATEST


def metrics_text(multiprocess_directory: str | None) -> bytes:
    """Return this process's metrics, or those of all processes that share the folder, as Prometheus reads them."""
    if multiprocess_directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=multiprocess_directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
