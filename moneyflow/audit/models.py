"""Tables of the audit log: events in hash chains, one for each topic and partition, and the sink's positions."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, LargeBinary, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment

_SCHEMA = "audit"


def _key(kind: type[BigInteger] | type[Integer] | type[Text]) -> Column[object]:
    return Column(kind, primary_key=True, autoincrement=False)


class AuditEvent(SQLModel, table=True):
    """One event as received, chained to the previous one; a trigger refuses every change of a row.

    In monthly partitions by `recorded_at`, which the function `audit.make_partitions` makes ahead. In each of them an
    id is unique by an index of its own.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("events_subject_idx", "subject", "time"),
        Index("events_actor_id_idx", "actor_id", "time", postgresql_where=text("actor_id is not null")),
        Index("events_correlation_id_idx", "correlation_id", postgresql_where=text("correlation_id is not null")),
        Index("events_type_idx", "type", "time"),
        {"schema": _SCHEMA, "postgresql_partition_by": "range (recorded_at)"},
    )

    topic: str = Field(sa_column=_key(Text))
    partition: int = Field(sa_column=_key(Integer))
    #: Counts from 1 in each chain, without a gap.
    position: int = Field(sa_column=_key(BigInteger))
    kafka_offset: int = Field(sa_column=Column(BigInteger, nullable=False))
    id: str = Field(sa_type=Text)
    type: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    time: datetime = moment()
    actor_id: str | None = Field(default=None, sa_type=Text)
    correlation_id: str | None = Field(default=None, sa_type=Text)
    key: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    value: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    previous_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    recorded_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), primary_key=True, server_default=text("clock_timestamp()"))
    )


class AuditChain(SQLModel, table=True):
    """The head of a chain: it shows when the last rows of a chain were removed."""

    __tablename__ = "chains"
    __table_args__ = {"schema": _SCHEMA}

    topic: str = Field(sa_column=_key(Text))
    partition: int = Field(sa_column=_key(Integer))
    height: int = Field(sa_column=Column(BigInteger, nullable=False))
    head_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditSeal(SQLModel, table=True):
    """A seal: it closes a chain up to a position, whose rows a migration rewrote for a reason."""

    __tablename__ = "seals"
    __table_args__ = {"schema": _SCHEMA}

    topic: str = Field(sa_column=_key(Text))
    partition: int = Field(sa_column=_key(Integer))
    position: int = Field(sa_column=_key(BigInteger))
    #: The hash of the row at that position, as it is now and as it was before.
    head_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    former_head_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    #: What was wrong with the chain before, if anything.
    fault: str | None = Field(default=None, sa_type=Text)
    reason: str = Field(sa_type=Text)
    sealed_at: datetime = moment()
    #: Over all of this; the next row follows it.
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditPosition(SQLModel, table=True):
    """The sink's next offset in a partition, and the epoch of the consumer that may move it."""

    __tablename__ = "positions"
    __table_args__ = {"schema": _SCHEMA}

    topic: str = Field(sa_column=_key(Text))
    partition: int = Field(sa_column=_key(Integer))
    #: None until the first batch is written.
    next_offset: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    #: Why the partition is stopped until an operator clears it.
    gap: str | None = Field(default=None, sa_type=Text)
