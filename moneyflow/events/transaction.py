"""Events about transactions on `transaction.events`, those of each transaction in the order of its changes.

They carry no free text: a note and tags are named in `changed`, and their values are in the row.
"""

import datetime as dt
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from moneyflow.events.topics import TRANSACTION_EVENTS
from moneyflow.platform.events.contract import Event


class TransactionState(BaseModel):
    """What an update may change, as it was before or is after it; `amount` is a decimal number as text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["income", "expense"]
    amount: str
    currency: str
    date: dt.date
    category_id: UUID | None


class TransactionCreated(
    Event, type="transaction.created", topic=TRANSACTION_EVENTS, subject="transaction_id", key="user_id"
):
    """A transaction was added."""

    user_id: UUID
    transaction_id: UUID
    kind: Literal["income", "expense"]
    amount: str
    currency: str
    date: dt.date
    category_id: UUID | None


class TransactionUpdated(
    Event, type="transaction.updated", topic=TRANSACTION_EVENTS, subject="transaction_id", key="user_id"
):
    """Fields of a transaction changed: those in `changed`."""

    user_id: UUID
    transaction_id: UUID
    before: TransactionState
    after: TransactionState
    changed: tuple[str, ...]


class TransactionDeleted(
    Event, type="transaction.deleted", topic=TRANSACTION_EVENTS, subject="transaction_id", key="user_id"
):
    """A transaction was deleted; it had these values."""

    user_id: UUID
    transaction_id: UUID
    kind: Literal["income", "expense"]
    amount: str
    currency: str
    date: dt.date
    category_id: UUID | None
