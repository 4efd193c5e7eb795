"""What an operator did to many jobs at once: who, why, on which of them, and how it ended for each."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class Operation(SQLModel, table=True):
    """A replay, a discard or a restore of the set of jobs that was frozen when it began."""

    __tablename__ = "operations"
    __table_args__ = (
        CheckConstraint("verb in ('replay', 'discard', 'restore')", name="operations_verb_check"),
        CheckConstraint("state in ('open', 'stopped', 'ended')", name="operations_state_check"),
        Index("operations_created_idx", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    verb: str = Field(sa_type=Text)
    asked_by: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    #: What the set was chosen by, as it was given.
    filter: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    rate_per_second: float | None = Field(default=None, sa_type=Float)
    #: So many jobs are replayed first, and the others only when those have succeeded.
    canary: int | None = None
    canary_ended_at: datetime | None = moment(nullable=True)
    #: When the next paced job may be due; kept, so that an operation which was killed goes on at its rate.
    paced_until: datetime | None = moment(nullable=True)
    state: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    items: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = moment(default_now=True)
    ended_at: datetime | None = moment(nullable=True)


class OperationItem(SQLModel, table=True):
    """One job of an operation with the fence it had when the set was frozen, and what became of it.

    A message that RabbitMQ itself had set aside has no job: then `message` keeps its bytes and properties.
    """

    __tablename__ = "operation_items"
    __table_args__ = (Index("operation_items_job_idx", "job_id"),)

    operation_id: UUID = Field(sa_column=Column(ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True))
    position: int = Field(primary_key=True)
    job_id: UUID | None = None
    fence: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB, nullable=True))
    #: None while nothing was done about it yet.
    result: str | None = Field(default=None, sa_type=Text)
    detail: str | None = Field(default=None, sa_type=Text)
    done_at: datetime | None = moment(nullable=True)
