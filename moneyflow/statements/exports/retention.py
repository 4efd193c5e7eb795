"""Retention of exports: the row expires with its file; one that never got a file, after thirty days."""

from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

declare(Rule(table="exports", query=load_queries(Path(__file__).with_suffix(".sql"))["exports"]))
