"""History: events of people and their books as the product emits them, for any choice of topics."""

import datetime as dt
from collections.abc import Collection, Iterator
from itertools import count, islice
from uuid import UUID

from moneyflow.events import Event
from moneyflow.events.auth import SignedIn
from moneyflow.events.category import CategoryCreated
from moneyflow.events.transaction import TransactionCreated, TransactionDeleted, TransactionState, TransactionUpdated
from moneyflow.events.user import UserActivated, UserCreated, UserUpdated
from moneyflow.platform import clock
from moneyflow.platform.events.emit import OutboxRow, outbox_row
from moneyflow.platform.ids import new_id

#: People whose events alternate in the log, as those of an installation do.
_PEOPLE_AT_A_TIME = 200
#: Days in the life of one person here; each has a sign-in and some changes of their book.
_DAYS = 30
_TRANSACTIONS_A_DAY = 6
_FIRST_DAY = dt.date(2026, 1, 1)


def history(topics: Collection[str], number: int) -> Iterator[OutboxRow]:
    """Yield `number` events of these topics in the order in which they happened, as rows of the outbox.

    Raises:
        ValueError: no event of these topics is in the history.
    """
    known = {event.topic for event in _life(new_id())}
    if known.isdisjoint(topics):
        raise ValueError(f"the history has events of {', '.join(sorted(known))}, and none of {', '.join(topics)}")
    events = (event for _ in count() for event in _lives() if event.topic in topics)
    return (outbox_row(event) for event in islice(events, number))


def _lives() -> Iterator[Event]:
    """Yield the events of many people, one of each at a time."""
    for together in zip(*(_life(new_id()) for _ in range(_PEOPLE_AT_A_TIME)), strict=True):
        yield from together


def _life(user_id: UUID) -> Iterator[Event]:
    version, category_id = count(1), new_id()
    yield UserCreated(sequence=next(version), user_id=user_id, created_at=clock.now())
    yield UserActivated(sequence=next(version), user_id=user_id, activated_at=clock.now())
    yield CategoryCreated(
        sequence=1, user_id=user_id, category_id=category_id, kind="expense", parent_id=None, color="#155eef"
    )
    for day in range(_DAYS):
        yield SignedIn(sequence=day + 1, user_id=user_id, session_id=new_id())
        yield from _book_of_a_day(user_id, category_id, _FIRST_DAY + dt.timedelta(days=day))
        yield UserUpdated(sequence=next(version), user_id=user_id, changed=("name",))


def _book_of_a_day(user_id: UUID, category_id: UUID, day: dt.date) -> Iterator[Event]:
    """Yield transactions that are added, the first of which is changed, and the second deleted."""
    ids = [new_id() for _ in range(_TRANSACTIONS_A_DAY)]
    state = TransactionState(kind="expense", amount="12.30", currency="EUR", date=day, category_id=category_id)
    for transaction_id in ids:
        yield TransactionCreated(sequence=1, user_id=user_id, transaction_id=transaction_id, **state.model_dump())
    after = state.model_copy(update={"amount": "15.80"})
    yield TransactionUpdated(
        sequence=2, user_id=user_id, transaction_id=ids[0], before=state, after=after, changed=("amount",)
    )
    yield TransactionDeleted(sequence=2, user_id=user_id, transaction_id=ids[1], **state.model_dump())
