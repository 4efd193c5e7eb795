"""Retention of deleted transactions: a month, in which an operator can read them for their owner."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

DELETED_KEPT = timedelta(days=30)

declare(Rule(table="transactions", query=_QUERIES["transactions"], parameters=lambda _: {"kept": DELETED_KEPT}))
