"""Retention of the dead letters of events: a month after an operator has reprocessed or discarded them."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: As long as discarded jobs are kept by default: until then a discarded one can be restored.
RESOLVED_KEPT = timedelta(days=30)

declare(
    Rule(
        table="event_dead_letters",
        query=_QUERIES["event_dead_letters"],
        parameters=lambda _: {"kept": RESOLVED_KEPT},
    )
)
