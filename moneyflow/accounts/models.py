"""Tables of users, of the single-use tokens in their mails, and of addresses that bounced."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class User(SQLModel, table=True):
    """A user. `email` is stored as typed, and unique without regard to case."""

    __tablename__ = "users"
    __table_args__ = (
        Index("users_email_key", text("lower(email)"), unique=True),
        CheckConstraint("role in ('user', 'administrator')", name="users_role_check"),
    )

    id: UUID = Field(primary_key=True)
    email: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    password_hash: str = Field(sa_type=Text)
    #: Grows by one with every change; the sequence of the user's events.
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
    activated_at: datetime | None = moment(nullable=True)
    role: str = Field(default="user", sa_type=Text, sa_column_kwargs={"server_default": text("'user'")})


class UserToken(SQLModel, table=True):
    """A single-use token in a mail; only its SHA-256 is stored."""

    __tablename__ = "user_tokens"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    purpose: str = Field(sa_type=Text)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)


class MailSuppression(SQLModel, table=True):
    """An address that bounced, as a keyed hash, and until when no mail is sent to it."""

    __tablename__ = "mail_suppressions"

    address_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    #: The mail server's reply: its code, its enhanced status code, and its text without addresses.
    code: int
    status: str | None = Field(sa_type=Text, default=None)
    reason: str = Field(sa_type=Text)
    bounced_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
