"""Retention of webhooks: the provider sends one again for three days, and the signature of a copy is stale by then."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

WEBHOOKS_KEPT = timedelta(days=30)

declare(Rule(table="payment_webhooks", query=_QUERIES["webhooks"], parameters=lambda _: {"kept": WEBHOOKS_KEPT}))
