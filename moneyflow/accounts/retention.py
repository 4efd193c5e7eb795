"""Retention of mailed tokens and of suppressed addresses: until they expire."""

from pathlib import Path

from moneyflow.platform.queries import load_queries
from moneyflow.platform.retention import Rule, declare

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

declare(Rule(table="user_tokens", query=_QUERIES["user_tokens"]))
declare(Rule(table="mail_suppressions", query=_QUERIES["mail_suppressions"]))
