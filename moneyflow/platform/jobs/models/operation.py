"""Operations: what an operator did to many items, who and why, on which items, and the result of each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, Column, Float, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class Operation(SQLModel, table=True):
    """A verb that is applied to the items that were frozen when the operation began."""

    __tablename__ = "operations"
    __table_args__ = (
        CheckConstraint("state in ('open', 'stopped', 'ended')", name="operations_state_check"),
        Index("operations_created_idx", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    #: One that the sources support; they say what it does.
    verb: str = Field(sa_type=Text)
    #: The sources of the items, in the order in which they are acted on.
    sources: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    asked_by: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    #: The selection, as it was given.
    filter: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    rate_per_second: float | None = Field(default=None, sa_type=Float)
    #: Number of items that are acted on first; the others follow when the work of all of them has succeeded.
    canary: int | None = None
    canary_ended_at: datetime | None = moment(nullable=True)
    #: Due time of the next paced item, so that a resumed operation keeps its rate.
    paced_until: datetime | None = moment(nullable=True)
    state: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    items: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = moment(default_now=True)
    ended_at: datetime | None = moment(nullable=True)


class OperationItem(SQLModel, table=True):
    """A frozen item and its result: `source` owns the item `item_id` and acts on it while `guard` holds.

    The guard of a job is the fence of its failure. `content` is what has to be kept: the bytes of a refused message.
    """

    __tablename__ = "operation_items"
    __table_args__ = (Index("operation_items_item_idx", "item_id", "source"),)

    operation_id: UUID = Field(sa_column=Column(ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True))
    position: int = Field(primary_key=True)
    source: str = Field(sa_type=Text)
    item_id: str = Field(sa_type=Text)
    guard: str | None = Field(default=None, sa_type=Text)
    content: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    #: None until the operation has acted on the item.
    result: str | None = Field(default=None, sa_type=Text)
    detail: str | None = Field(default=None, sa_type=Text)
    done_at: datetime | None = moment(nullable=True)
