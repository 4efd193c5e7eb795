"""Tables of users, of the tokens in their mails, of what mails need, and of addresses that bounced."""

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
        Index("users_inactive_idx", "created_at", postgresql_where=text("activated_at is null")),
        CheckConstraint("role in ('user', 'administrator')", name="users_role_check"),
    )

    id: UUID = Field(primary_key=True)
    email: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    #: None until a person who was invited has chosen a password.
    password_hash: str | None = Field(default=None, sa_type=Text)
    #: Grows by one with every change; the sequence of the user's events.
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
    activated_at: datetime | None = moment(nullable=True)
    role: str = Field(default="user", sa_type=Text, sa_column_kwargs={"server_default": text("'user'")})
    #: The file of which the next avatar is made.
    avatar_upload_id: UUID | None = None
    avatar_key: str | None = Field(default=None, sa_type=Text)


class UserToken(SQLModel, table=True):
    """A single-use token in a mail; only its SHA-256 is stored."""

    __tablename__ = "user_tokens"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    purpose: str = Field(sa_type=Text)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(nullable=True)
    #: The job that mailed it.
    job_id: UUID | None = None


class SentMail(SQLModel, table=True):
    """The last sending of a mail that a user gets once in a number of hours at most, and the job that sends it."""

    __tablename__ = "sent_mails"

    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    mail: str = Field(sa_type=Text, primary_key=True)
    job_id: UUID
    sent_at: datetime = moment(default_now=True)


class MailSuppression(SQLModel, table=True):
    """An address that bounced, as a keyed hash, and until when no mail is sent to it."""

    __tablename__ = "mail_suppressions"

    address_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    #: It stays when a sign-up replaces an account that was never activated: the row of the user gets another id then.
    user_id: UUID = Field(
        sa_column=Column(ForeignKey("users.id", ondelete="CASCADE", onupdate="CASCADE"), nullable=False, index=True)
    )
    #: The mail server's reply: its code, its enhanced status code, and its text without addresses.
    code: int
    status: str | None = Field(sa_type=Text, default=None)
    reason: str = Field(sa_type=Text)
    bounced_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()


class EmailChange(SQLModel, table=True):
    """A change of a user's e-mail: the addresses that its mails go to, which stand in no job."""

    __tablename__ = "email_changes"
    __table_args__ = (Index("email_changes_notice_job_id_key", "notice_job_id", unique=True),)

    #: The job that mails the link to the new address.
    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True))
    new_email: str = Field(sa_type=Text)
    #: Once the change is confirmed: the address before it, and the job that notifies it.
    old_email: str | None = Field(default=None, sa_type=Text)
    notice_job_id: UUID | None = None
    expires_at: datetime = moment()


class Invitation(SQLModel, table=True):
    """A person whom an administrator invites, until a `create_user` job has made the account."""

    __tablename__ = "invitations"

    id: UUID = Field(primary_key=True)
    batch_id: UUID = Field(sa_column=Column(ForeignKey("batches.id", ondelete="CASCADE"), nullable=False, index=True))
    line: int
    email: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    created_at: datetime = moment(default_now=True)
