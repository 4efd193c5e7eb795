"""A job's row is its outbox, its inbox and its history; beside it its attempts and the workers that run them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.models.columns import moment


class JobState(StrEnum):
    """Where a job is in its life."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"


_STATES = ", ".join(f"'{state}'" for state in JobState)


class JobRow(SQLModel, table=True):
    """A job. `fence` grows with every claim: who finishes it must name the fence of its own claim."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="jobs_state_check"),
        CheckConstraint("priority between 0 and 10", name="jobs_priority_check"),
        # What the relay publishes next.
        Index(
            "jobs_due_idx",
            text("priority desc"),
            "due_at",
            postgresql_where=text("state in ('scheduled', 'retrying')"),
        ),
        # What the relay asks after: waiting in RabbitMQ, or held by a worker.
        Index("jobs_queued_idx", "published_at", postgresql_where=text("state = 'queued'")),
        Index("jobs_running_idx", "worker", postgresql_where=text("state = 'running'")),
        Index("jobs_unique_key_key", "unique_key", unique=True, postgresql_where=text("unique_key is not null")),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_type=Text)
    version: int = Field(sa_type=SmallInteger)
    priority: int = Field(sa_type=SmallInteger)
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    state: str = Field(sa_type=Text)
    due_at: datetime = moment()
    unique_key: str | None = Field(default=None, sa_type=Text)
    #: Tries that counted; see the life of a job in ARCHITECTURE.md for those that do not.
    attempt: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    max_attempts: int
    time_limit_seconds: int
    fence: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    worker: int | None = None
    lease_until: datetime | None = moment(nullable=True)
    #: Its process died while it was held: it is run alone, and counted before it starts.
    suspect: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    correlation_id: str | None = Field(default=None, sa_type=Text)
    traceparent: str | None = Field(default=None, sa_type=Text)
    result: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    enqueued_at: datetime = moment(default_now=True)
    published_at: datetime | None = moment(nullable=True)
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)


class JobAttempt(SQLModel, table=True):
    """One claim of a job and how it ended. `attempt` is 0 when the claim may never have come to its start."""

    __tablename__ = "job_attempts"

    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True))
    fence: int = Field(sa_column=Column(BigInteger, primary_key=True))
    attempt: int
    worker: str = Field(sa_type=Text)
    started_at: datetime = moment()
    ended_at: datetime = moment(default_now=True)
    outcome: str = Field(sa_type=Text)
    error_class: str | None = Field(default=None, sa_type=Text)
    error_message: str | None = Field(default=None, sa_type=Text)
    error_traceback: str | None = Field(default=None, sa_type=Text)


class DeadLetter(SQLModel, table=True):
    """A failed job that the relay has yet to put on `jobs_failed`; the reason stands in its last attempt."""

    __tablename__ = "job_dead_letters"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True))
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = moment(default_now=True)


class Worker(SQLModel, table=True):
    """A worker process. It lives as long as it holds the advisory lock of its number and its heart beats."""

    __tablename__ = "workers"

    number: int = Field(primary_key=True, sa_column_kwargs={"server_default": Identity(always=True)})
    name: str = Field(sa_type=Text)
    lease_seconds: float = Field(sa_type=Float)
    started_at: datetime = moment(default_now=True)
    heartbeat_at: datetime = moment(default_now=True)
