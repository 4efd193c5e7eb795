"""Tables of the events' outbox: a row stays until Kafka has confirmed it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class OutboxEvent(SQLModel, table=True):
    """An event that is not published yet: `value` is the envelope as it is sent."""

    __tablename__ = "outbox_events"

    sequence: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    id: UUID
    topic: str = Field(sa_type=Text)
    key: str = Field(sa_type=Text)
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = moment(default_now=True)


class EventSequence(SQLModel, table=True):
    """The last sequence of an aggregate that has no row of its own, such as a process that warns."""

    __tablename__ = "event_sequences"

    key: str = Field(primary_key=True, sa_type=Text)
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))


class SystemEventRepeat(SQLModel, table=True):
    """What processes of one name have reported of one kind since the last event of it: `data` are the last one's."""

    __tablename__ = "system_event_repeats"

    process: str = Field(primary_key=True, sa_type=Text)
    type: str = Field(primary_key=True, sa_type=Text)
    fingerprint: str = Field(primary_key=True, sa_type=Text)
    data: dict[str, Any] = Field(sa_type=JSONB)
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    began_at: datetime | None = moment()
    reported_at: datetime = moment(default_now=True)
