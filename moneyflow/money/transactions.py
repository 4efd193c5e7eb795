"""Transactions: add, read, change and delete; each change commits with its event."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from moneyflow.events.transaction import (
    TransactionCreated,
    TransactionDeleted,
    TransactionState,
    TransactionUpdated,
)
from moneyflow.money import writing
from moneyflow.money.amounts import read_amount, write_amount
from moneyflow.platform import clock
from moneyflow.platform.database import Session
from moneyflow.platform.errors import ConflictError, InvalidInputError
from moneyflow.platform.events.emit import FRAGMENTS as EVENT_FRAGMENTS
from moneyflow.platform.http.answers import Answer
from moneyflow.platform.http.idempotency import FRAGMENTS, WITHOUT_KEY, IdempotentRequest
from moneyflow.platform.ids import new_id
from moneyflow.platform.owner import OwnerScope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"), fragments=(FRAGMENTS, EVENT_FRAGMENTS))

Kind = Literal["income", "expense"]

#: What a user may change, in the order in which events name it.
_CHANGEABLE = ("kind", "amount", "currency", "date", "category_id", "note", "tags")
#: What a payment has fixed.
_OF_THE_PAYMENT = ("kind", "amount", "currency")


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """An amount above zero of one currency that a user got or spent on a day; `version` counts the changes."""

    id: UUID
    user_id: UUID
    kind: Kind
    #: With exactly the decimals of its currency.
    amount: Decimal
    currency: str
    date: dt.date
    category_id: UUID | None
    note: str
    tags: tuple[str, ...]
    payment_id: UUID | None
    import_id: UUID | None
    version: int
    created_at: dt.datetime
    updated_at: dt.datetime

    def state(self) -> dict[str, Any]:
        """Return what events carry of it: no free text."""
        return {
            "kind": self.kind,
            "amount": write_amount(self.amount),
            "currency": self.currency,
            "date": self.date,
            "category_id": self.category_id,
        }

    def parameters(self) -> dict[str, Any]:
        """Return its fields as parameters of a statement."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"tags": list(self.tags)}


def make(
    user_id: UUID,
    *,
    kind: Kind,
    amount: str,
    currency: str,
    date: dt.date,
    category_id: UUID | None = None,
    note: str = "",
    tags: Sequence[str] = (),
    payment_id: UUID | None = None,
    import_id: UUID | None = None,
) -> Transaction:
    """Return a new transaction, which is not stored yet.

    Raises:
        InvalidInputError: the amount is none of its currency; `errors` names the member.
    """
    return of_amount(
        user_id,
        kind=kind,
        amount=read_amount(amount, currency),
        currency=currency,
        date=date,
        category_id=category_id,
        note=note,
        tags=tags,
        payment_id=payment_id,
        import_id=import_id,
    )


def of_amount(
    user_id: UUID,
    *,
    kind: Kind,
    amount: Decimal,
    currency: str,
    date: dt.date,
    category_id: UUID | None = None,
    note: str = "",
    tags: Sequence[str] = (),
    payment_id: UUID | None = None,
    import_id: UUID | None = None,
) -> Transaction:
    """Return a new transaction, which is not stored yet; `amount` has the decimals of its currency already."""
    now = clock.now()
    return Transaction(
        id=new_id(),
        user_id=user_id,
        kind=kind,
        amount=amount,
        currency=currency,
        date=date,
        category_id=category_id,
        note=note,
        tags=tuple(tags),
        payment_id=payment_id,
        import_id=import_id,
        version=1,
        created_at=now,
        updated_at=now,
    )


def create(session: Session, made: Transaction, *, once: IdempotentRequest, answer: Answer) -> Answer:
    """Store a transaction with its event and the answer to the request, in one statement; return the first answer.

    Raises:
        InvalidInputError: its category is none of this user and kind; or the key was used with another body.
        InProgressError: another request with this key is running.
        NotFoundError: the account was deleted.
    """
    return writing.create(session, _QUERIES["create"], made.parameters(), created(made), once=once, answer=answer)


def add(session: Session, made: Transaction) -> Transaction:
    """Store a transaction with its event in the session's transaction, such as that of a payment; return it.

    A category that was deleted meanwhile, or is of another kind, is left out: what was paid is paid.
    """
    category = session.fetch_one(_QUERIES["lock_category"], made.parameters()) if made.category_id else None
    stored = replace(made, category_id=category["id"] if category else None)
    create(session, stored, once=WITHOUT_KEY, answer=Answer())
    return stored


def find(scope: OwnerScope, transaction_id: UUID) -> Transaction:
    """Return a transaction of the owner.

    Raises:
        NotFoundError: there is none of this owner, or it was deleted.
    """
    return of_row(scope.row(_QUERIES["find"], transaction_id, what="transaction"))


def of_row(row: Mapping[str, Any]) -> Transaction:
    """Return the transaction of a row that has all its columns."""
    return Transaction(**{**row, "tags": tuple(row["tags"])})


def changed(current: Transaction, values: Mapping[str, Any]) -> Transaction:
    """Return a transaction with other values; `amount` is a text.

    Raises:
        InvalidInputError: the amount is none of the currency, or a payment has fixed what is changed.
    """
    new = replace(current, **values)
    if {"amount", "currency"} & values.keys():
        amount = values.get("amount", write_amount(current.amount))
        new = replace(new, amount=read_amount(amount, new.currency))
    fixed = [name for name in differences(current, new) if name in _OF_THE_PAYMENT]
    if current.payment_id is not None and fixed:
        problem = "is that of the payment and cannot be changed; refund the payment instead"
        raise InvalidInputError("a payment has fixed these members", tuple((f"/{name}", problem) for name in fixed))
    return new


def differences(before: Transaction, after: Transaction) -> tuple[str, ...]:
    """Return the names of the fields that differ."""
    return tuple(name for name in _CHANGEABLE if getattr(before, name) != getattr(after, name))


def change(session: Session, current: Transaction, new: Transaction) -> Transaction:
    """Store changed fields with the event, where the transaction is as it was read; return it.

    Raises:
        PreconditionFailedError: it was changed or deleted meanwhile.
        InvalidInputError: its category is none of this user and kind.
    """
    names = differences(current, new)
    if not names:
        return current
    new = replace(new, version=current.version + 1, updated_at=clock.now())
    writing.change(session, _QUERIES["change"], new.parameters(), updated(current, new, names))
    return new


def delete(session: Session, current: Transaction) -> None:
    """Delete a transaction with the event, where it is as it was read. The row is purged later.

    Raises:
        ConflictError: it is that of a payment.
        PreconditionFailedError: it was changed or deleted meanwhile.
    """
    if current.payment_id is not None:
        raise ConflictError("it is the transaction of a payment and stays; refund the payment instead")
    gone = replace(current, version=current.version + 1, updated_at=clock.now())
    writing.change(session, _QUERIES["delete"], gone.parameters(), deleted(gone))


def created(made: Transaction) -> TransactionCreated:
    """Return the event of a new transaction."""
    return TransactionCreated(sequence=made.version, user_id=made.user_id, transaction_id=made.id, **made.state())


def updated(before: Transaction, after: Transaction, names: tuple[str, ...]) -> TransactionUpdated:
    """Return the event of a change."""
    return TransactionUpdated(
        sequence=after.version,
        user_id=after.user_id,
        transaction_id=after.id,
        before=TransactionState(**before.state()),
        after=TransactionState(**after.state()),
        changed=names,
    )


def deleted(gone: Transaction) -> TransactionDeleted:
    """Return the event of a deletion."""
    return TransactionDeleted(sequence=gone.version, user_id=gone.user_id, transaction_id=gone.id, **gone.state())
