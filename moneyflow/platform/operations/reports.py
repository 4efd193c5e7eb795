"""Reports of operations: the progress of a run, the outcomes of a preview, and the results of each item."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import DictRow

from moneyflow.platform.operations.sources import Item, Outcome, Verification


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of an operation: items with a result, all items, and items whose work has not ended.

    `waiting` are such items of the canary, `started` those of all of them.
    """

    done: int
    items: int
    waiting: int = 0
    started: int = 0


@dataclass(frozen=True, kw_only=True)
class PreviewedItem:
    """The outcome that an item of a source would have."""

    source: str
    item: Item
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The outcomes that an order would have; `done` are the results that leave nothing to be done."""

    items: Sequence[PreviewedItem]
    done: frozenset[str]

    @property
    def results(self) -> Mapping[str, int]:
        """The number of items by result."""
        return Counter(one.outcome.result for one in self.items)


@dataclass(frozen=True, kw_only=True)
class Report:
    """An operation's row, its items with their results, and the unsuccessful part of a canary that stopped it.

    `done` are the results that leave nothing to be done.
    """

    operation: Mapping[str, Any]
    results: Mapping[str, int]
    items: list[DictRow]
    done: frozenset[str]
    canary: list[Verification] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether the operation has ended and every item is done, by it or by another operator."""
        return self.operation["state"] == "ended" and all(result in self.done for result in self.results)

    @property
    def has_acted(self) -> bool:
        """Whether at least one item is done."""
        return any(result in self.done for result in self.results)
