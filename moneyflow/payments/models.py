"""Tables of payments and of the webhooks about them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Numeric, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class PaymentRow(SQLModel, table=True):
    """A payment. What the provider is asked is fixed with the row: each attempt sends the same request."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount > 0 and amount < 1e15", name="payments_amount_check"),
        CheckConstraint("state in ('pending', 'succeeded', 'declined', 'refunded')", name="payments_state_check"),
        CheckConstraint("(state = 'declined') = (decline_code is not null)", name="payments_declined_check"),
        CheckConstraint(
            "(state in ('succeeded', 'refunded')) = (charge_id is not null)", name="payments_charged_check"
        ),
        CheckConstraint("(state = 'pending') = (source is not null)", name="payments_source_check"),
        Index("payments_job_id_key", "job_id", unique=True),
        Index("payments_user_id_idx", "user_id", "id"),
        Index("payments_category_id_idx", "category_id", postgresql_where=text("category_id is not null")),
        Index("payments_pending_idx", "created_at", postgresql_where=text("state = 'pending'")),
    )

    id: UUID = Field(primary_key=True)
    #: None once the account is deleted; a trigger then empties the description.
    user_id: UUID | None = Field(sa_column=Column(ForeignKey("users.id", ondelete="SET NULL"), nullable=True))
    amount: Decimal = Field(sa_type=Numeric)
    currency: str = Field(sa_type=Text)
    description: str = Field(sa_type=Text)
    category_id: UUID | None = Field(sa_column=Column(ForeignKey("categories.id", ondelete="SET NULL"), nullable=True))
    #: The provider's token of the card, until the payment is decided.
    source: str | None = Field(default=None, sa_type=Text)
    state: str = Field(default="pending", sa_type=Text, sa_column_kwargs={"server_default": text("'pending'")})
    decline_code: str | None = Field(default=None, sa_type=Text)
    #: The job that was enqueued with the payment. Its id is the provider's idempotency key, for replays too.
    job_id: UUID
    #: When the provider was first asked to charge: committed before it was.
    attempted_at: datetime | None = moment(nullable=True)
    #: The provider that was asked first: no other is asked, or both might charge.
    provider: str | None = Field(default=None, sa_type=Text)
    #: The provider's name of the charge.
    charge_id: str | None = Field(default=None, sa_type=Text)
    #: The first job that refunds the payment; its id is the idempotency key of the refund.
    refund_key: UUID | None = None
    refund_transaction_id: UUID | None = None
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class PaymentWebhookRow(SQLModel, table=True):
    """A webhook that was received: the provider sends each more than once."""

    __tablename__ = "payment_webhooks"
    __table_args__ = (Index("payment_webhooks_received_at_idx", "received_at"),)

    event_id: str = Field(primary_key=True, sa_type=Text)
    received_at: datetime = moment(default_now=True)
