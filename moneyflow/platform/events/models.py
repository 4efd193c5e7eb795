"""Tables of events: the outbox, whose rows stay until Kafka has confirmed them, and the dead letters of the sinks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
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


def positions_table(schema: str) -> Table:
    """Declare the table `positions` that every sink has in its schema: its next offset in each partition.

    `epoch` is that of the consumer that may move it; `gap` says why the partition is stopped until an operator acts.
    """
    return Table(
        "positions",
        SQLModel.metadata,
        Column("topic", Text, primary_key=True),
        Column("partition", Integer, primary_key=True, autoincrement=False),
        Column("next_offset", BigInteger),
        Column("epoch", BigInteger, nullable=False),
        Column("gap", Text),
        schema=schema,
    )


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


#: The states in which a dead letter needs the consumer or an operator.
_OPEN = text("state in ('dead', 'waiting', 'due')")


class EventDeadLetter(SQLModel, table=True):
    """A record that a sink could not write, or that waits behind one: its place in Kafka, its bytes and the error.

    States: `dead` until an operator acts; `due` to be written again; `reprocessed` or `discarded` at the end. In a
    strict sink `waiting` stands for a sound record behind an open one of its key.
    """

    __tablename__ = "event_dead_letters"
    __table_args__ = (
        CheckConstraint(
            "state in ('dead', 'waiting', 'due', 'reprocessed', 'discarded')", name="event_dead_letters_state_check"
        ),
        UniqueConstraint("sink", "topic", "partition", "kafka_offset", name="event_dead_letters_record_key"),
        Index("event_dead_letters_open_idx", "sink", "topic", "partition", "kafka_offset", postgresql_where=_OPEN),
        Index("event_dead_letters_resolved_at_idx", "resolved_at", postgresql_where=text("resolved_at is not null")),
    )

    id: UUID = Field(primary_key=True)
    sink: str = Field(sa_type=Text)
    topic: str = Field(sa_type=Text)
    partition: int
    kafka_offset: int = Field(sa_type=BigInteger)
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    value: bytes | None = Field(default=None, sa_type=LargeBinary)
    #: Of the envelope, as far as it can be read.
    event_id: str | None = Field(default=None, sa_type=Text)
    event_type: str | None = Field(default=None, sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    correlation_id: str | None = Field(default=None, sa_type=Text)
    state: str = Field(sa_type=Text)
    error_class: str | None = Field(default=None, sa_type=Text)
    error_message: str | None = Field(default=None, sa_type=Text)
    #: The message without its variable parts, such as ids.
    error_group: str | None = Field(default=None, sa_type=Text)
    failed_at: datetime = moment()
    #: How often the sink failed on it; 0 while it only waits.
    attempts: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    due_at: datetime | None = moment(nullable=True)
    #: The operation that made it due.
    due_by: UUID | None = None
    resolved_at: datetime | None = moment(nullable=True)
