"""What the relay tells of what was confirmed: a count, and the ids that lead through the logs of every process."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import structlog

from moneyflow.telemetry import metrics

log = structlog.get_logger(__name__)

_IDS_IN_A_LINE = 50


def tell_published(kind: Literal["job", "dead_letter", "event"], ids: Sequence[UUID]) -> None:
    """Count what a broker has confirmed, and log its ids in lines that stay readable."""
    metrics.relay_published.labels(kind).inc(len(ids))
    name = "event_ids" if kind == "event" else "job_ids"
    for start in range(0, len(ids), _IDS_IN_A_LINE):
        part = [str(one) for one in ids[start : start + _IDS_IN_A_LINE]]
        log.info("published", kind=kind, count=len(part), **{name: part})
