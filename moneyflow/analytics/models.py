"""Tables of analytics: the last state of each transaction, sums of money, people, counts of days, and rebuilds.

Most rows have a generation: the current one is read, and another one is filled while a rebuild runs. A token is a hash
of a person's id: it says that two rows are of one person, and leads to no account once that is deleted.
"""

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Index, Integer, Numeric, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment
from moneyflow.platform.events.models import positions_table

_SCHEMA = "analytics"


def _key(kind: Any) -> Column[object]:
    return Column(kind, primary_key=True, autoincrement=False)


def _generation() -> Any:
    return Field(sa_column=_key(Integer))


positions_table(_SCHEMA)


class AnalyticsProgress(SQLModel, table=True):
    """How far the sink is in a partition: the time of its last event, and when it had last written all there was."""

    __tablename__ = "progress"
    __table_args__ = {"schema": _SCHEMA}

    topic: str = Field(sa_column=_key(Text))
    partition: int = Field(sa_column=_key(Integer))
    event_time: dt.datetime | None = moment(nullable=True)
    caught_up_at: dt.datetime | None = moment(nullable=True)


class Generation(SQLModel, table=True):
    """Which generation of the rows about money, and of those about people, is read, and which one is filled."""

    __tablename__ = "generations"
    __table_args__ = (
        CheckConstraint("part in ('money', 'people')", name="generations_part_check"),
        {"schema": _SCHEMA},
    )

    part: str = Field(sa_column=_key(Text))
    current: int
    #: That of the rebuild that runs; the sink writes it too.
    filling: int | None = None


class TransactionFact(SQLModel, table=True):
    """The last state of a transaction and its sequence; without amount and all else it is deleted."""

    __tablename__ = "transactions"
    __table_args__ = (
        Index("transactions_deleted_idx", "generation", "user_id", "id", postgresql_where=text("amount is null")),
        {"schema": _SCHEMA},
    )

    generation: int = _generation()
    user_id: UUID = Field(sa_column=_key(Uuid))
    id: UUID = Field(sa_column=_key(Uuid))
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str | None = Field(default=None, sa_type=Text)
    amount: Decimal | None = Field(default=None, sa_type=Numeric)
    currency: str | None = Field(default=None, sa_type=Text)
    date: dt.date | None = Field(default=None, sa_type=Date)
    #: All zeros where the transaction has none.
    category_id: UUID | None = None


class DailySum(SQLModel, table=True):
    """A user's money of a day, a currency and a category, and the number of its transactions."""

    __tablename__ = "daily_sums"
    __table_args__ = {"schema": _SCHEMA}

    generation: int = _generation()
    user_id: UUID = Field(sa_column=_key(Uuid))
    day: dt.date = Field(sa_column=_key(Date))
    currency: str = Field(sa_column=_key(Text))
    category_id: UUID = Field(sa_column=_key(Uuid))
    income: Decimal = Field(sa_type=Numeric)
    expense: Decimal = Field(sa_type=Numeric)
    transactions: int = Field(sa_column=Column(BigInteger, nullable=False))


class MonthlySum(SQLModel, table=True):
    """The same of a month, which is named by its first day. PERF: years are read by months."""

    __tablename__ = "monthly_sums"
    __table_args__ = {"schema": _SCHEMA}

    generation: int = _generation()
    user_id: UUID = Field(sa_column=_key(Uuid))
    month: dt.date = Field(sa_column=_key(Date))
    currency: str = Field(sa_column=_key(Text))
    category_id: UUID = Field(sa_column=_key(Uuid))
    income: Decimal = Field(sa_type=Numeric)
    expense: Decimal = Field(sa_type=Numeric)
    transactions: int = Field(sa_column=Column(BigInteger, nullable=False))


class ErasedUser(SQLModel, table=True):
    """A user who was deleted: what comes late about their money is not stored."""

    __tablename__ = "erased_users"
    __table_args__ = {"schema": _SCHEMA}

    token: UUID = Field(sa_column=_key(Uuid))


class PersonDays(SQLModel, table=True):
    """The days on which a person signed up, was activated, and added the first transaction."""

    __tablename__ = "people"
    __table_args__ = {"schema": _SCHEMA}

    generation: int = _generation()
    token: UUID = Field(sa_column=_key(Uuid))
    signed_up: dt.date | None = Field(default=None, sa_type=Date)
    activated: dt.date | None = Field(default=None, sa_type=Date)
    first_transaction: dt.date | None = Field(default=None, sa_type=Date)


class Counted(SQLModel, table=True):
    """What was counted on a day: a person who was active, by token, or an event, by its id."""

    __tablename__ = "counted"
    __table_args__ = {"schema": _SCHEMA}

    generation: int = _generation()
    day: dt.date = Field(sa_column=_key(Date))
    token: UUID = Field(sa_column=_key(Uuid))


class DayCount(SQLModel, table=True):
    """How many there were on a day, such as `active_people`."""

    __tablename__ = "day_counts"
    __table_args__ = {"schema": _SCHEMA}

    generation: int = _generation()
    day: dt.date = Field(sa_column=_key(Date))
    what: str = Field(sa_column=_key(Text))
    count: int = Field(sa_column=Column(BigInteger, nullable=False))


class Rebuild(SQLModel, table=True):
    """A rebuild: who asked for it and why, how far it is, and what it corrected."""

    __tablename__ = "rebuilds"
    __table_args__ = (
        CheckConstraint("source in ('log', 'tables')", name="rebuilds_source_check"),
        CheckConstraint("state in ('filling', 'swapped', 'ended', 'cancelled')", name="rebuilds_state_check"),
        Index("rebuilds_filling_key", "state", unique=True, postgresql_where=text("state = 'filling'")),
        {"schema": _SCHEMA},
    )

    id: UUID = Field(primary_key=True)
    source: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    generation: int
    asked_by: str = Field(sa_type=Text)
    reason: str = Field(sa_type=Text)
    #: What the sink had read of each partition when it began to write this generation too.
    begun_after: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    #: Where the next page begins.
    cursor: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'")))
    rows_read: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    #: Events of the log that no version of their contract reads.
    rows_skipped: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    #: Sums of a day that differed from those before; known once it is filled.
    sums_corrected: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    started_at: dt.datetime = moment(default_now=True)
    swapped_at: dt.datetime | None = moment(nullable=True)
    ended_at: dt.datetime | None = moment(nullable=True)
