"""Retention of events' tables: counts of processes that have not reported for a day, as when they were removed."""

from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

declare(Rule(table="system_event_repeats", query=load_queries(Path(__file__).with_suffix(".sql"))["repeats"]))
