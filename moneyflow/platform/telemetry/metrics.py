"""Prometheus export: the metrics that this process has declared, as text.

Each room declares its own in a module `metrics` (`moneyflow/platform/jobs/metrics.py`, `consumers/metrics.py`, …), so
that a process exports what it knows and nothing else.
"""

from importlib import import_module
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

CONTENT_TYPE = CONTENT_TYPE_LATEST


def metrics_text(multiprocess_directory: str | None) -> bytes:
    """Return this process's metrics, or those of all processes that share the folder, in Prometheus's text format."""
    if multiprocess_directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=multiprocess_directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


_JOBS = "moneyflow.platform.jobs.metrics"
_RELAY = "workers.relay.metrics"
#: Where the metrics are that were declared here before; for imports that still name this module.
_MOVED = {
    "jobs_enqueued": _JOBS,
    "jobs_finished": _JOBS,
    "job_wait_seconds": _JOBS,
    "job_run_seconds": _JOBS,
    "schedule_ticks": _JOBS,
    "of_job": _JOBS,
    "finished": _JOBS,
    "jobs_in_state": _RELAY,
    "job_oldest_due_seconds": _RELAY,
    "jobs_failed_messages": _RELAY,
    "outbox_unpublished": _RELAY,
    "outbox_oldest_seconds": _RELAY,
    "relay_published": _RELAY,
    "relay_leader": _RELAY,
    "emails": "moneyflow.gateways.mail_metrics",
}


def __getattr__(name: str) -> Any:
    """Return a metric from the module that declares it now."""
    if name not in _MOVED:
        raise AttributeError(name)
    return getattr(import_module(_MOVED[name]), name)
