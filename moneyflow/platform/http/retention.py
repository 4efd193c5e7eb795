"""Retention of answers under an `Idempotency-Key`."""

from datetime import timedelta
from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Two days: a client that was offline over a night may still repeat its request.
ANSWERS_KEPT = timedelta(hours=48)

declare(
    Rule(
        table="idempotency_keys",
        query=_QUERIES["idempotency_keys"],
        parameters=lambda _: {"kept": ANSWERS_KEPT},
    )
)
