"""Retention of the CRM sync: that a deleted person's contact was deleted there is known for a month."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

REMOVED_KEPT = timedelta(days=30)

declare(Rule(table="crm.contacts", query=_QUERIES["contacts"], parameters=lambda _: {"kept": REMOVED_KEPT}))
