"""Tables of the CRM sync. They hold no value of a person but the time of the last sign-in."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment

_SCHEMA = "crm"


def _count(default: int) -> int:
    number: int = Field(
        default=default, sa_column=Column(BigInteger, nullable=False, server_default=text(str(default)))
    )
    return number


def _flag() -> bool:
    flag: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    return flag


class CrmContact(SQLModel, table=True):
    """What the sync knows about a person: since when there is something to send, and what was sent when."""

    __tablename__ = "contacts"
    __table_args__ = (
        CheckConstraint("set_aside_at is null or due_at is null", name="contacts_set_aside_check"),
        Index("contacts_due_idx", "due_at", postgresql_where=text("due_at is not null")),
        Index("contacts_set_aside_idx", "set_aside_at", postgresql_where=text("set_aside_at is not null")),
        Index("contacts_removed_idx", "synced_at", postgresql_where=text("is_removed")),
        {"schema": _SCHEMA},
    )

    user_id: UUID = Field(primary_key=True)
    #: The last event about the person on each topic: an event that comes again is none.
    user_sequence: int = _count(0)
    auth_sequence: int = _count(0)
    #: Of the last event `auth.sign_in`; no row has it elsewhere.
    last_sign_in_at: datetime | None = moment(nullable=True)
    #: Grows with each change: one that comes while the person is sent makes them due again.
    revision: int = _count(1)
    changed_at: datetime = moment(default_now=True)
    #: When the person is to be sent; None: in step, or set aside.
    due_at: datetime | None = moment(nullable=True)
    #: Send also what the CRM has already, as far as we know.
    must_send: bool = _flag()
    #: The lease of the sender that has the person, and its fence.
    fence: int = _count(0)
    leased_until: datetime | None = moment(nullable=True)
    #: An earlier request has no answer: it may still be carried out after the next one.
    is_unsure: bool = _flag()
    #: The state that was sent last: its version, and a hash of it with the id.
    version: int = _count(0)
    digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    #: What the CRM has taken last, and when; `is_removed`: it has deleted the contact.
    synced_version: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    synced_at: datetime | None = moment(nullable=True)
    is_removed: bool = _flag()
    #: Failures in a row, and the last one, without any value.
    attempts: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    error: str | None = Field(default=None, sa_type=Text)
    failed_at: datetime | None = moment(nullable=True)
    #: The CRM refuses the person (4xx): nothing is sent until they change, or an operator has them sent again.
    set_aside_at: datetime | None = moment(nullable=True)


class CrmGate(SQLModel, table=True):
    """The one row that all senders share: the rate of requests, and the circuit breaker."""

    __tablename__ = "gate"
    __table_args__ = (CheckConstraint("id", name="gate_id_check"), {"schema": _SCHEMA})

    id: bool = Field(default=True, primary_key=True, sa_column_kwargs={"server_default": text("true")})
    next_request_at: datetime = moment(default_now=True)
    #: No request before; while there are failures, one sender probes with one person then.
    open_from: datetime = moment(default_now=True)
    failures: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    failing_since: datetime | None = moment(nullable=True)
    reason: str | None = Field(default=None, sa_type=Text)


class CrmPosition(SQLModel, table=True):
    """The sink's next offset in a partition, and the epoch of the consumer that may move it."""

    __tablename__ = "positions"
    __table_args__ = {"schema": _SCHEMA}

    topic: str = Field(sa_column=Column(Text, primary_key=True, autoincrement=False))
    partition: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    #: None until the first batch is written.
    next_offset: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    #: Why the partition is stopped until an operator clears it.
    gap: str | None = Field(default=None, sa_type=Text)
