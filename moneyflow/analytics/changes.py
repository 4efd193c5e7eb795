"""Changes: what a batch of events says of transactions, of people and of days, as columns for Postgres.

What is kept of a transaction is its latest state in the batch: an event has the whole state, so it needs none before.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
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
from moneyflow.money.amounts import amount_text
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events.envelope import Envelope
from moneyflow.platform.ids import parse_id
from moneyflow.platform.patterns import Pattern

#: The category of a transaction that has none: a key of Postgres has no nulls.
NO_CATEGORY = UUID(int=0)

ACTIVE_PEOPLE = "active_people"
SIGN_INS = "sign_ins"
SIGN_IN_FAILURES = "sign_in_failed"

_CURRENCY = Pattern(r"[A-Z]{3}", longest=3)


class Fact(NamedTuple):
    """The last state of a transaction, in the order of its table's columns; all None after the sequence: deleted."""

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
    """Return a person's token: half of the SHA-256 of the id, which is random."""
    return str(UUID(bytes=hashlib.sha256(f"analytics:{user_id}".encode()).digest()[:16]))


@dataclass
class Changes:
    """What events change; `add` reads one after the other, in the order of their partition or in any other."""

    #: The latest state of each transaction, by its id.
    facts: dict[str, Fact] = field(default_factory=dict)
    #: The sequences that were read of each transaction.
    sequences: dict[str, set[int]] = field(default_factory=dict)
    people: dict[str, PersonMarks] = field(default_factory=dict)
    #: What is counted once, by its day and token.
    counted: dict[tuple[str, str], str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    #: How many events were read, and how many of them were about transactions.
    events: int = 0
    of_transactions: int = 0
    _tokens: dict[str, str] = field(default_factory=dict)

    def add(self, event: Envelope) -> None:
        """Add an event; one of a type that says nothing here shows its actor's activity alone.

        Raises:
            PoisonError: no version of its contract has written it.
            UnreadableError: a newer version reads it.
        """
        day = event.time.astimezone(UTC).date().isoformat()
        reads = _READS.get(event.type)
        if reads is not None:
            reads(self, event, day)
        if event.actor_id is not None and parse_id(event.actor_id) is not None:
            self.counted[day, self.token(event.actor_id)] = ACTIVE_PEOPLE
        self.events += 1

    def token(self, user_id: str) -> str:
        """Return a person's token. PERF: a batch has many events of few people."""
        token = self._tokens.get(user_id)
        if token is None:
            token = self._tokens[user_id] = token_of(user_id)
        return token

    def new_among(self, known: dict[str, int]) -> int:
        """Return how many events were new, by the sequences of the transactions that were known before.

        Of an event that is not about a transaction it is not known; it counts as new.
        """
        new = sum(
            sum(sequence > known.get(id, 0) for sequence in sequences) for id, sequences in self.sequences.items()
        )
        return self.events - self.of_transactions + new

    def keep(self, fact: Fact) -> None:
        """Keep the state of a transaction, unless a later one is kept."""
        self.of_transactions += 1
        self.sequences.setdefault(fact.id, set()).add(fact.sequence)
        earlier = self.facts.get(fact.id)
        if earlier is None or earlier.sequence < fact.sequence:
            self.facts[fact.id] = fact

    def marks(self, user_id: UUID) -> PersonMarks:
        """Return the days of a person, to mark."""
        return self.people.setdefault(self.token(str(user_id)), PersonMarks())


def _transaction_created(changes: Changes, event: Envelope, day: str) -> None:
    read = TransactionCreated.from_envelope(event)
    changes.keep(_fact(read, read))
    marks = changes.marks(read.user_id)
    marks.first_transaction = min(marks.first_transaction or day, day)


def _transaction_updated(changes: Changes, event: Envelope, _: str) -> None:
    read = TransactionUpdated.from_envelope(event)
    changes.keep(_fact(read, read.after))


def _transaction_deleted(changes: Changes, event: Envelope, _: str) -> None:
    read = TransactionDeleted.from_envelope(event)
    changes.keep(Fact(str(read.user_id), str(read.transaction_id), read.sequence))


def _user_created(changes: Changes, event: Envelope, day: str) -> None:
    changes.marks(UserCreated.from_envelope(event).user_id).signed_up = day


def _user_activated(changes: Changes, event: Envelope, day: str) -> None:
    changes.marks(UserActivated.from_envelope(event).user_id).activated = day


def _user_deleted(changes: Changes, event: Envelope, _: str) -> None:
    changes.erased.add(str(UserDeleted.from_envelope(event).user_id))


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
    try:
        amount = amount_text(state.amount)
    except ValueError as error:
        raise PoisonError(f"the amount {error}") from None
    if not _CURRENCY.fullmatch(state.currency):
        raise PoisonError("the currency must have three capital letters")
    return Fact(
        str(event.user_id),
        str(event.transaction_id),
        event.sequence,
        state.kind,
        amount,
        state.currency,
        state.date.isoformat(),
        str(state.category_id or NO_CATEGORY),
    )


def _event_token(event: Envelope) -> str:
    parsed = parse_id(event.id)
    return str(parsed) if parsed is not None else token_of(event.id)


def columns(rows: Iterable[Sequence[object]]) -> list[str]:
    """Return rows, at least one, as an array for each column; no text in them has a character of an array's syntax.

    PERF: psycopg's own adapter of lists takes five times as long.
    """
    turned = zip(*rows, strict=True)
    return ["{" + ",".join(["null" if value is None else str(value) for value in column]) + "}" for column in turned]
