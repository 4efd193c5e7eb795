"""Tables of the sandbox: the ledger of a payment provider that is made for development and tests.

It stands for a system of someone else. The worker writes it by statements that commit on their own, never in the
transaction of a job, and no other table refers to it.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Numeric, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class SandboxCharge(SQLModel, table=True):
    """The requests under one idempotency key: a charge once it has a `charge_id`, refused with a `decline_code`."""

    __tablename__ = "charges"
    __table_args__ = (
        CheckConstraint("amount > 0", name="charges_amount_check"),
        CheckConstraint("charge_id is null or decline_code is null", name="charges_outcome_check"),
        Index("charges_payment_id_idx", "payment_id"),
        {"schema": "sandbox"},
    )

    key: UUID = Field(primary_key=True)
    payment_id: UUID
    amount: Decimal = Field(sa_column=Column(Numeric, nullable=False))
    currency: str = Field(sa_type=Text)
    #: SHA-256 of the request: another request under the same key is refused.
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: The part of the source that says how it behaves: ok, declined, timeout, lost_answer; a refund behaves the same.
    behaviour: str = Field(sa_type=Text)
    requests: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    charge_id: str | None = Field(default=None, sa_type=Text, sa_column_kwargs={"unique": True})
    decline_code: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = moment(default_now=True)


class SandboxRefund(SQLModel, table=True):
    """The requests to refund a charge; it is refunded once `refunded_at` is set."""

    __tablename__ = "refunds"
    __table_args__ = ({"schema": "sandbox"},)

    charge_id: str = Field(sa_column=Column(ForeignKey("sandbox.charges.charge_id"), primary_key=True))
    key: UUID
    requests: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    refunded_at: datetime | None = moment(nullable=True)
