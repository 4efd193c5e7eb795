"""Retention: deletes expired rows in small batches, each committed by itself.

A rule is declared next to its table, in a module `retention` of the room that owns it, with its query next to it::

    declare(Rule(table="user_tokens", query=_QUERIES["user_tokens"]))
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

import structlog
from prometheus_client import Counter

from moneyflow.platform.database import Session
from moneyflow.platform.settings import RetentionSettings

log = structlog.get_logger(__name__)

#: Rows of one transaction: it takes a fraction of a second, and no claim waits longer for a row of it.
BATCH_ROWS = 5000

purged_rows = Counter("moneyflow_purged_rows_total", "Rows deleted because they had expired", ["table"])


def _no_parameters(_: RetentionSettings) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which rows of a table have expired: `query` deletes up to `%(limit)s` of them and skips locked ones.

    `parameters` returns the query's other parameters, from the settings where operators decide how long rows are kept.
    """

    table: str
    query: LiteralString
    parameters: Callable[[RetentionSettings], Mapping[str, Any]] = _no_parameters

    def batches(self, session: Session, settings: RetentionSettings, *, limit: int) -> Iterator[int]:
        """Delete batch by batch and yield the rows of each; the caller commits after each."""
        parameters = {**self.parameters(settings), "limit": limit}
        rows = limit
        while rows >= limit:
            rows = session.execute(self.query, parameters).rowcount
            yield rows


#: Every declared rule by its table, in the order in which they are applied; filled by `moneyflow.retention`.
registry: dict[str, Rule] = {}


def declare(rule: Rule) -> Rule:
    """Declare a rule and return it.

    Raises:
        ValueError: the table has another rule; one owner decides how long its rows are kept.
    """
    if registry.setdefault(rule.table, rule) is not rule:
        raise ValueError(f"table {rule.table} has a retention rule already; change that one")
    return rule


def purge(
    session: Session,
    settings: RetentionSettings,
    *,
    seconds: float,
    rules: Iterable[Rule] | None = None,
    limit: int = BATCH_ROWS,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Apply the rules; return the deleted rows of each table, and as `done` whether nothing expired is left.

    After `seconds` it stops; the next purge continues.
    """
    stop_at = clock() + seconds
    deleted: dict[str, int] = {}
    done = True
    for rule in registry.values() if rules is None else rules:
        deleted[rule.table] = 0
        batches = rule.batches(session, settings, limit=limit)
        while (in_time := clock() < stop_at) and (rows := next(batches, None)) is not None:
            session.commit()
            deleted[rule.table] += rows
            purged_rows.labels(rule.table).inc(rows)
        done = done and in_time
    log.info("rows_purged", **deleted, done=done)
    return deleted | {"done": done}
