"""Sources of an operation: each owns items and registers the verbs that an operator may apply to them.

A source freezes a selection, judges items, acts on a chunk of them, and verifies the outcome of an act.
`engine.py` runs the operation of any source; what an item is, only its source knows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, Protocol
from uuid import UUID

from moneyflow.platform.clock import rfc3339
from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError

#: The result of an item on which another operator has acted since the freeze.
ALREADY_DONE = "already done"
NOT_FOUND, WRONG_STATE = "not found", "wrong state"
#: Items on which an operation acts without a confirmation or a canary.
UNCONFIRMED_ITEMS = 20
#: Items of the canary that goes first where no operator can be asked.
CANARY_ITEMS = 5
#: Items that one transaction acts on: a fraction of a second, and few enough to be locked together.
_CHUNK_ITEMS = 1000


class Criteria(Protocol):
    """The filter of a source."""

    def as_json(self) -> dict[str, Any]:
        """Return the parts that were given, to be kept with the operation."""


@dataclass(frozen=True, kw_only=True)
class Everything:
    """The filter that matches every item."""

    def as_json(self) -> dict[str, Any]:
        """Return no part."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which items: those of `ids`, those that the operation `operation` discarded, or those that match `criteria`."""

    criteria: Criteria = field(default_factory=Everything)
    ids: tuple[str, ...] = ()
    operation: UUID | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what was given, to be kept with the operation."""
        ids = {"ids": list(self.ids)} if self.ids else {}
        operation = {"operation": str(self.operation)} if self.operation else {}
        return {**ids, **operation, **self.criteria.as_json()}


@dataclass(frozen=True, kw_only=True)
class Order:
    """An operator's order: the verb, the sources and items, who asks and why; `rate` is in items per second."""

    verb: str
    sources: tuple[str, ...]
    selection: Selection
    asked_by: str
    reason: str | None = None
    rate: float | None = None
    canary: int | None = None


def given_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return those parts of a filter that are not None, as they are kept with an operation: times are texts."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in parts.items()
        if value is not None
    }


class UnconfirmedError(ConflictError):
    """The order selects more `items` than an operator has confirmed; nothing was kept."""

    def __init__(self, order: Order, items: int) -> None:
        super().__init__(f"the {order.verb} selects {items} items: confirm them, or let a canary go first")
        self.items = items


@dataclass(frozen=True, kw_only=True)
class Item:
    """A frozen item; a source acts on it only while `guard` still holds. `content` is what has to be kept of it."""

    position: int
    item_id: str
    guard: str | None = None
    content: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an act did to an item, or why it did nothing."""

    result: str
    detail: str | None = None


#: An item that was as frozen when it was judged, and no more when it was acted on.
ACTED_MEANWHILE = Outcome(result=ALREADY_DONE, detail="another operator acted on it first")


@dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb that a source supports; `result` is kept with each item that it was applied to.

    Some items may end with `other_result` instead, which leaves nothing to be done either; `expected` says with which.
    `is_paced` says that the source spreads the items by due times; otherwise the operation waits between chunks.
    `is_verified` says that the act starts work whose outcome `Source.verify` reports, so that a canary is possible.
    With `ends` the `result` says that work was started; the operation waits for its end, which replaces it.
    """

    name: str
    result: str
    chunk_items: int = _CHUNK_ITEMS
    is_paced: bool = False
    is_verified: bool = False
    other_result: str | None = None
    expected: Callable[[Item], str] | None = None
    ends: "Ends | None" = None

    @property
    def done_results(self) -> tuple[str, ...]:
        """The results that leave nothing to be done."""
        if self.ends:
            return (self.ends.success,)
        return (self.result, self.other_result) if self.other_result else (self.result,)

    @property
    def applied_results(self) -> tuple[str, ...]:
        """The results of items that it was applied to."""
        return (self.result, self.ends.success, self.ends.failure) if self.ends else self.done_results

    def outcome(self, item: Item) -> Outcome:
        """Return the outcome that an item will probably have."""
        return Outcome(result=self.expected(item) if self.expected else self.result)


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The ends of the work that a verb starts: the results of success and of failure, and how they are read.

    `read` is given the operation and the items whose work it has started.
    """

    success: str
    failure: str
    read: Callable[[Session, UUID, Sequence[Item]], Mapping[int, Outcome]]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Items that one transaction acts on; a paced verb makes the first due at `due_from` and each next a gap later."""

    operation_id: UUID
    verb: str
    items: Sequence[Item]
    due_from: datetime
    gap_seconds: float = 0


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The state of an item after the act; `has_succeeded` is None while the work has not ended."""

    item_id: str
    state: str
    has_succeeded: bool | None
    error_class: str | None = None
    error_message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Frozen:
    """The query of a selection: rows of position (from 1), item_id, guard and content (jsonb) as they are now."""

    query: LiteralString
    parameters: Mapping[str, Any]


class Source(Protocol):
    """What owns items; `name` is stored with each."""

    @property
    def name(self) -> str:
        """Return the name that is stored with each item."""

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """Return the supported verbs by their names."""

    def freeze(self, order: Order) -> Frozen:
        """Return the query that freezes the order's items; reads what is outside Postgres first.

        Raises:
            InvalidInputError: the selection cannot mean anything here.
        """

    def judge(self, session: Session, verb: str, items: Sequence[Item]) -> Mapping[int, Outcome]:
        """Return, by position, why nothing can be done about an item; items that can be acted on are left out."""

    def act(self, session: Session, chunk: Chunk) -> Mapping[int, Outcome]:
        """Apply the verb to the chunk and return each item's outcome by position.

        What it changes in Postgres commits with these outcomes. What it does elsewhere may be repeated after a kill.
        """

    def verify(self, session: Session, item_ids: Iterable[str]) -> list[Verification]:
        """Return the states of items after the act, in the order of the ids."""
