"""Retention of events' tables: resolved dead letters for a month, counts of what processes report for a day."""

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
# Of processes that were removed: those that run look at their counts each minute.
declare(Rule(table="system_event_repeats", query=_QUERIES["repeats"]))
