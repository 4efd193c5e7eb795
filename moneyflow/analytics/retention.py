"""Retention of what was counted: a year and more, within which an event that comes again is not counted again."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

COUNTED_KEPT = timedelta(days=400)

declare(Rule(table="analytics.counted", query=_QUERIES["counted"], parameters=lambda _: {"kept": COUNTED_KEPT}))
