"""Tables of categories and transactions."""

import datetime as dt
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment

_SHOWN = text("deleted_at is null")


class CategoryRow(SQLModel, table=True):
    """A category: at the top (level 1), or under one at the top (level 2) of the same owner and kind.

    The foreign key refers to the parent's level, so that no two moves at once make a cycle or a third level.
    """

    __tablename__ = "categories"
    __table_args__ = (
        UniqueConstraint("user_id", "id", "kind", name="categories_owner_kind_key"),
        UniqueConstraint("user_id", "id", "level", "kind", name="categories_owner_level_kind_key"),
        ForeignKeyConstraint(
            ["user_id", "parent_id", "parent_level", "kind"],
            ["categories.user_id", "categories.id", "categories.level", "categories.kind"],
            name="categories_parent_fkey",
        ),
        CheckConstraint("kind in ('income', 'expense')", name="categories_kind_check"),
        Index("categories_parent_idx", "user_id", "parent_id", postgresql_where=text("parent_id is not null")),
    )

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    parent_id: UUID | None = None
    level: int = Field(
        sa_column=Column(SmallInteger, Computed("case when parent_id is null then 1 else 2 end", persisted=True))
    )
    #: The level that a parent has; a column, because the foreign key needs one.
    parent_level: int = Field(sa_column=Column(SmallInteger, Computed("1", persisted=True)))
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    #: Of the form #rrggbb.
    color: str | None = Field(default=None, sa_type=Text)
    #: Grows by one with every change; the sequence of the category's events.
    version: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: dt.datetime = moment(default_now=True)
    updated_at: dt.datetime = moment(default_now=True)


class TransactionRow(SQLModel, table=True):
    """A transaction: an amount above zero of one currency that a user got or spent on a date."""

    __tablename__ = "transactions"
    __table_args__ = (
        # Checked at the commit: when an account is deleted, its categories may go first.
        ForeignKeyConstraint(
            ["user_id", "category_id", "kind"],
            ["categories.user_id", "categories.id", "categories.kind"],
            name="transactions_category_fkey",
            deferrable=True,
            initially="DEFERRED",
        ),
        UniqueConstraint("payment_id", name="transactions_payment_id_key"),
        CheckConstraint("kind in ('income', 'expense')", name="transactions_kind_check"),
        CheckConstraint("amount > 0 and amount < 1e15", name="transactions_amount_check"),
        Index("transactions_category_idx", "user_id", "category_id"),
        Index("transactions_deleted_idx", "deleted_at", postgresql_where=text("deleted_at is not null")),
        # Of the lists: one with the order of each.
        Index(
            "transactions_expense_idx", "user_id", text("date desc"), text("id desc"),
            postgresql_where=text("kind = 'expense' and deleted_at is null"),
        ),
        Index(
            "transactions_income_idx", "user_id", text("date desc"), text("id desc"),
            postgresql_where=text("kind = 'income' and deleted_at is null"),
        ),
        Index(
            "transactions_category_date_idx", "category_id", text("date desc"), text("id desc"), postgresql_where=_SHOWN
        ),
        # Of the searches: each has the user's id in a form of its own, by which a statement chooses it.
        Index("transactions_amount_idx", text("uuid_send(user_id)"), "amount", postgresql_where=_SHOWN),
        Index(
            "transactions_search_idx", text("(user_id::text)"), "tags", "note", postgresql_using="gin",
            postgresql_ops={"note": "gin_trgm_ops"}, postgresql_with={"gin_pending_list_limit": 256},
            postgresql_where=_SHOWN,
        ),
    )  # fmt: skip

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    kind: str = Field(sa_type=Text)
    #: With exactly the decimals of its currency on the day of the write.
    amount: Decimal = Field(sa_type=Numeric)
    currency: str = Field(sa_type=Text)
    #: A day in the user's calendar, not a moment.
    date: dt.date
    category_id: UUID | None = None
    note: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'")))
    payment_id: UUID | None = None
    import_id: UUID | None = None
    #: Grows by one with every change; the sequence of the transaction's events.
    version: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("1")))
    created_at: dt.datetime = moment(default_now=True)
    updated_at: dt.datetime = moment(default_now=True)
    #: Until it is purged, a deleted transaction is seen by operators alone.
    deleted_at: dt.datetime | None = moment(nullable=True)
