"""Publication record: counts what a broker confirmed, and logs the ids that lead through every process's log."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import structlog

from moneyflow.platform.telemetry.logs import in_lines
from workers.relay import metrics

log = structlog.get_logger(__name__)


def record_published(kind: Literal["job", "dead_letter", "event"], ids: Sequence[UUID]) -> None:
    """Count confirmed messages, and log their ids in lines of readable length."""
    metrics.relay_published.labels(kind).inc(len(ids))
    name = "event_ids" if kind == "event" else "job_ids"
    for part in in_lines(ids):
        log.info("published", kind=kind, count=len(part), **{name: part})
