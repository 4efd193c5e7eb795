"""Prometheus export: the metrics that this process has declared, as text.

Each room declares its own in a module `metrics` (`moneyflow/platform/jobs/metrics.py`, `consumers/metrics.py`, …), so
that a process exports what it knows and nothing else.
"""

from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

from moneyflow.platform.telemetry import multiprocess

CONTENT_TYPE = CONTENT_TYPE_LATEST


def metrics_text(multiprocess_directory: str | None) -> bytes:
    """Return this process's metrics, or those of all processes that share the folder, in Prometheus's text format."""
    if multiprocess_directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=multiprocess_directory)  # type: ignore[no-untyped-call]
    with multiprocess.reading(Path(multiprocess_directory)):
        return generate_latest(registry)
