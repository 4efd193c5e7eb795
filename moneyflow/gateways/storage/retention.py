"""Retention of files: until the time that each has; the sweep then deletes them from the storage."""

from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

declare(Rule(table="files", query=load_queries(Path(__file__).with_suffix(".sql"))["files"]))
