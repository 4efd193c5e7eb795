"""Changes: what a batch of events says of transactions, of people and of days, as columns for Postgres.

What is kept of a transaction is its latest state in the batch: an event has the whole state, so it needs none before.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from moneyflow.events.auth import SignedIn, SignInFailed
from moneyflow.events.transaction import (
    TransactionCreated,
    TransactionDeleted,
    TransactionState,
    TransactionUpdated,
)
from moneyflow.events.user import UserActivated, UserCreated, UserDeleted
from moneyflow.money.amounts import AMOUNT_FORM, LONGEST_AMOUNT
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.ids import parse_id
from moneyflow.platform.patterns import Pattern

#: The category of a transaction that has none: a key of Postgres has no nulls.
NO_CATEGORY = UUID(int=0)

ACTIVE_PEOPLE = "active_people"
SIGN_INS = "sign_ins"
SIGN_IN_FAILURES = "sign_in_failed"

_AMOUNT = Pattern(AMOUNT_FORM, longest=LONGEST_AMOUNT)
_CURRENCY = Pattern(r"[A-Z]{3}", longest=3)


class Fact(NamedTuple):
    """The last state of a transaction, in the order of its table's columns; all None after the sequence: deleted.

    Ids are hexadecimal, which Postgres reads. PERF: the usual form of a UUID takes three times as long to write.
    """

    user_id: str
    id: str
    sequence: int
    kind: str | None = None
    amount: str | None = None
    currency: str | None = None
    date: str | None = None
    category_id: str | None = None


@dataclass
class PersonMarks:
    """Days of a person's funnel."""

    signed_up: str | None = None
    activated: str | None = None
    first_transaction: str | None = None


def token_of(user_id: str) -> str:
    """Return a person's token: half of the SHA-256 of the id in hexadecimal, which is random."""
    return hashlib.sha256(f"analytics:{user_id}".encode()).hexdigest()[:32]


@dataclass
class Changes:
    """What events change; `add` reads one after the other, in the order of their partition or in any other."""

    #: The latest state of each transaction, by its id.
    facts: dict[str, Fact] = field(default_factory=dict)
    #: Each transaction's id with the sequence that was read of it, for each event.
    sequences: list[tuple[str, int]] = field(default_factory=list)
    #: By the person's id.
    people: dict[str, PersonMarks] = field(default_factory=dict)
    #: What is counted once, by its day and token.
    counted: dict[tuple[str, str], str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    #: How many events were read.
    events: int = 0
    #: The token of each actor; None for one that is no person.
    _actors: dict[str, str | None] = field(default_factory=dict)

    def add(self, event: Envelope) -> None:
        """Add an event; one of a type that says nothing here shows its actor's activity alone.

        Raises:
            PoisonError: no version of its contract has written it.
            UnreadableError: a newer version reads it.
        """
        day = _text_of(event.time.astimezone(UTC).date())
        reads = _READS.get(event.type)
        if reads is not None:
            reads(self, event, day)
        if event.actor_id is not None:
            self._count_actor(event.actor_id, day)
        self.events += 1

    def keep(self, fact: Fact) -> None:
        """Keep the state of a transaction, unless a later one is kept."""
        self.sequences.append((fact.id, fact.sequence))
        earlier = self.facts.get(fact.id)
        if earlier is None or earlier.sequence < fact.sequence:
            self.facts[fact.id] = fact

    def marks(self, user_id: str) -> PersonMarks:
        """Return the days of a person, to mark."""
        found = self.people.get(user_id)
        if found is None:
            found = self.people[user_id] = PersonMarks()
        return found

    def new_among(self, written: Mapping[str, int]) -> int:
        """Return how many events were new, by the transactions that were written and the sequence before of each.

        Of an event that is not about a transaction it is not known; it counts as new.
        """
        new = sum(id in written and sequence > written[id] for id, sequence in set(self.sequences))
        return self.events - len(self.sequences) + new

    def _count_actor(self, actor_id: str, day: str) -> None:
        if actor_id not in self._actors:
            parsed = parse_id(actor_id)
            self._actors[actor_id] = token_of(parsed.hex) if parsed is not None else None
        token = self._actors[actor_id]
        if token is not None:
            self.counted[day, token] = ACTIVE_PEOPLE


def _transaction_created(changes: Changes, event: Envelope, day: str) -> None:
    read = TransactionCreated.from_envelope(event)
    fact = _fact(read, read)
    changes.keep(fact)
    marks = changes.marks(fact.user_id)
    if marks.first_transaction is None or day < marks.first_transaction:
        marks.first_transaction = day


def _transaction_updated(changes: Changes, event: Envelope, _: str) -> None:
    read = TransactionUpdated.from_envelope(event)
    changes.keep(_fact(read, read.after))


def _transaction_deleted(changes: Changes, event: Envelope, _: str) -> None:
    read = TransactionDeleted.from_envelope(event)
    changes.keep(Fact(read.user_id.hex, read.transaction_id.hex, read.sequence))


def _user_created(changes: Changes, event: Envelope, day: str) -> None:
    changes.marks(UserCreated.from_envelope(event).user_id.hex).signed_up = day


def _user_activated(changes: Changes, event: Envelope, day: str) -> None:
    changes.marks(UserActivated.from_envelope(event).user_id.hex).activated = day


def _user_deleted(changes: Changes, event: Envelope, _: str) -> None:
    changes.erased.add(UserDeleted.from_envelope(event).user_id.hex)


def _signed_in(changes: Changes, event: Envelope, day: str) -> None:
    SignedIn.from_envelope(event)
    changes.counted[day, _event_token(event)] = SIGN_INS


def _sign_in_failed(changes: Changes, event: Envelope, day: str) -> None:
    reason = SignInFailed.from_envelope(event).reason
    changes.counted[day, _event_token(event)] = f"{SIGN_IN_FAILURES}:{reason}"


_READS: Mapping[str, Callable[[Changes, Envelope, str], None]] = {
    TransactionCreated.type: _transaction_created,
    TransactionUpdated.type: _transaction_updated,
    TransactionDeleted.type: _transaction_deleted,
    UserCreated.type: _user_created,
    UserActivated.type: _user_activated,
    UserDeleted.type: _user_deleted,
    SignedIn.type: _signed_in,
    SignInFailed.type: _sign_in_failed,
}


def _fact(event: TransactionCreated | TransactionUpdated, state: TransactionCreated | TransactionState) -> Fact:
    """Return a transaction's state as it was validated. SECURITY: its texts go into arrays, which have a syntax."""
    if not _AMOUNT.fullmatch(state.amount):
        raise PoisonError("the amount must be a decimal number as text")
    if not _is_currency(state.currency):
        raise PoisonError("the currency must have three capital letters")
    category = state.category_id
    return Fact(
        event.user_id.hex,
        event.transaction_id.hex,
        event.sequence,
        state.kind,
        state.amount,
        state.currency,
        _text_of(state.date),
        NO_CATEGORY.hex if category is None else category.hex,
    )


@lru_cache(maxsize=1024)
def _is_currency(text: str) -> bool:
    return _CURRENCY.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _text_of(day: dt.date) -> str:
    return day.isoformat()


def _event_token(event: Envelope) -> str:
    parsed = parse_id(event.id)
    return parsed.hex if parsed is not None else token_of(event.id)


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """Return rows, at least one, as an array for each column; no text in them has a character of an array's syntax.

    PERF: psycopg's own adapter of lists takes five times as long.
    """
    turned = zip(*rows, strict=True)
    return ["{" + ",".join(["null" if value is None else str(value) for value in column]) + "}" for column in turned]
