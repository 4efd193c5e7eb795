"""What the relay tells of what was confirmed: a count, and the ids that lead through the logs of every process."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import structlog

from moneyflow.platform.telemetry import metrics
from moneyflow.platform.telemetry.logs import in_lines

log = structlog.get_logger(__name__)


def tell_published(kind: Literal["job", "dead_letter", "event"], ids: Sequence[UUID]) -> None:
    """Count what a broker has confirmed, and log its ids in lines that stay readable."""
    metrics.relay_published.labels(kind).inc(len(ids))
    name = "event_ids" if kind == "event" else "job_ids"
    for part in in_lines(ids):
        log.info("published", kind=kind, count=len(part), **{name: part})
