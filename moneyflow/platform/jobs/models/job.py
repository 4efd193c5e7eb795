"""A job's row is its outbox, its inbox and its history; beside it its attempts, its batch, and who runs it."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class JobState(StrEnum):
    """State of a job as it is stored; one that is `scheduled` after a first attempt is shown as `retrying`."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DISCARDED = "discarded"


_STATES = ", ".join(f"'{state}'" for state in JobState)
_UNFINISHED = "state in ('scheduled', 'queued', 'running')"


class JobRow(SQLModel, table=True):
    """A job. `fence` grows with every claim: who finishes it must name the fence of its own claim."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="jobs_state_check"),
        CheckConstraint("priority between 0 and 10", name="jobs_priority_check"),
        CheckConstraint("waits_for in ('limit', 'batch')", name="jobs_waits_for_check"),
        # What the relay publishes next: one look for each kind and priority. The attempt is for the counts by state.
        Index(
            "jobs_due_idx",
            "kind",
            "priority",
            "due_at",
            postgresql_where=text("state = 'scheduled' and waits_for is null"),
            postgresql_include=["attempt"],
        ),
        # What waits for a place under its limit, and what has one.
        Index(
            "jobs_waiting_for_limit_idx",
            "limit_name",
            "limit_key",
            text("priority desc"),
            "due_at",
            postgresql_where=text("state = 'scheduled' and waits_for = 'limit'"),
        ),
        Index(
            "jobs_admitted_idx",
            "limit_name",
            "limit_key",
            postgresql_where=text(f"limit_name is not null and waits_for is null and {_UNFINISHED}"),
        ),
        Index("jobs_batch_idx", "batch_id", "state", postgresql_where=text("batch_id is not null")),
        # What operators group by.
        Index(
            "jobs_failed_idx",
            "kind",
            "error_class",
            "error_group",
            "finished_at",
            postgresql_where=text("state = 'failed'"),
        ),
        # What the relay asks after: waiting in RabbitMQ, or held by a worker.
        Index("jobs_queued_idx", "published_at", postgresql_where=text("state = 'queued'")),
        # Not by the state: Postgres would take this index for the statements that end a try too, which name the state
        # and go by the job's id, and read all that was in it since the last vacuum.
        Index("jobs_running_idx", "worker", postgresql_where=text("worker is not null")),
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
    #: How long the key is taken; for as long as the row is there when neither is set.
    unique_until: datetime | None = moment(nullable=True)
    unique_while_unfinished: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    limit_name: str | None = Field(default=None, sa_type=Text)
    limit_key: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    #: What it waits for before it can be published: a place under its `limit`, or the end of the `batch` that it ends.
    waits_for: str | None = Field(default=None, sa_type=Text)
    batch_id: UUID | None = None
    #: Tries that counted; see the life of a job in ARCHITECTURE.md for those that do not.
    attempt: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    max_attempts: int
    time_limit_seconds: int
    fence: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    worker: int | None = None
    lease_until: datetime | None = moment(nullable=True)
    #: Its worker died while it held the job: it runs alone, and its attempt is counted before it starts.
    quarantined: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    cancel_requested_at: datetime | None = moment(nullable=True)
    #: Why nobody here can run it, as of now: of a version or a kind that no worker knows yet.
    parked_reason: str | None = Field(default=None, sa_type=Text)
    progress: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    #: Of the last try that failed; `error_group` is the message without what differs from job to job.
    error_class: str | None = Field(default=None, sa_type=Text)
    error_message: str | None = Field(default=None, sa_type=Text)
    error_group: str | None = Field(default=None, sa_type=Text)
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


class JobFile(SQLModel, table=True):
    """The file that is a job's result; it goes when the job's row does."""

    __tablename__ = "job_files"

    id: UUID = Field(primary_key=True)
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, unique=True))
    name: str = Field(sa_type=Text)
    content_type: str = Field(sa_type=Text)
    #: In bytes.
    size: int = Field(sa_type=BigInteger)
    sha256: str = Field(sa_type=Text)
    content: bytes
    created_at: datetime = moment(default_now=True)


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


class Batch(SQLModel, table=True):
    """Many jobs that end together; `end_job_id` is the job that then runs."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("on_failure in ('continue', 'wait', 'cancel')", name="batches_on_failure_check"),
        CheckConstraint("state in ('open', 'ended', 'cancelled')", name="batches_state_check"),
        Index("batches_open_idx", "id", postgresql_where=text("state = 'open'")),
        # A job ends one batch; by this it finds the batch that it was started for.
        Index("batches_end_job_id_key", "end_job_id", unique=True),
    )

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    on_failure: str = Field(sa_type=Text)
    state: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    #: No more jobs are to come: it may end.
    sealed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    end_job_id: UUID | None = None
    #: How many jobs ended how; written when the batch ends.
    counts: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    cancel_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = moment(default_now=True)
    ended_at: datetime | None = moment(nullable=True)


class JobStart(SQLModel, table=True):
    """When a job under a limit began: what a rate is measured by."""

    __tablename__ = "job_starts"
    __table_args__ = (Index("job_starts_idx", "limit_name", "started_at"),)
    __mapper_args__ = {"primary_key": ["limit_name", "started_at"]}

    limit_name: str = Field(sa_type=Text)
    started_at: datetime = moment(default_now=True)


class JobKind(SQLModel, table=True):
    """A kind of job that is paused, or was: by an operator, or by its breaker, which lets one job a time probe."""

    __tablename__ = "job_kinds"

    kind: str = Field(primary_key=True, sa_type=Text)
    paused_at: datetime | None = moment(nullable=True)
    paused_by: str | None = Field(default=None, sa_type=Text)
    pause_reason: str | None = Field(default=None, sa_type=Text)
    probe_job_id: UUID | None = None
    probe_at: datetime | None = moment(nullable=True)
    probe_wait_seconds: float | None = Field(default=None, sa_type=Float)
