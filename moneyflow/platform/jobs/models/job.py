"""Tables of jobs, attempts, batches, workers and kinds. A job's row is its outbox, its inbox and its history."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Identity, Index, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class JobState(StrEnum):
    """State of a job as stored; a `scheduled` job that has attempts is shown as `retrying`."""

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
    """A job. `fence` grows with every claim; a worker that ends an attempt has to give the fence of its claim."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"state in ({_STATES})", name="jobs_state_check"),
        CheckConstraint("priority between 0 and 10", name="jobs_priority_check"),
        CheckConstraint("waits_for in ('limit', 'batch')", name="jobs_waits_for_check"),
        # Jobs that the relay publishes next, a lookup for each kind and priority; `attempt` serves the counts by state.
        Index(
            "jobs_due_idx",
            "kind",
            "priority",
            "due_at",
            postgresql_where=text("state = 'scheduled' and waits_for is null"),
            postgresql_include=["attempt"],
        ),
        # Jobs that wait for a place under their limit, and jobs that hold one.
        Index(
            "jobs_waiting_for_limit_idx",
            "limit_name",
            "limit_key",
            text("priority desc"),
            "due_at",
            postgresql_where=text("state = 'scheduled' and waits_for = 'limit'"),
        ),
        # The same by kind: the probes of a paused kind, and the age of its oldest job.
        Index(
            "jobs_limited_due_idx",
            "kind",
            "priority",
            "due_at",
            postgresql_where=text("state = 'scheduled' and waits_for = 'limit'"),
            postgresql_include=["attempt"],
        ),
        Index(
            "jobs_admitted_idx",
            "limit_name",
            "limit_key",
            postgresql_where=text(f"limit_name is not null and waits_for is null and {_UNFINISHED}"),
        ),
        # Members of a batch; `attempt` serves the counts by state, which read no row.
        Index(
            "jobs_batch_idx",
            "batch_id",
            "state",
            postgresql_where=text("batch_id is not null"),
            postgresql_include=["attempt"],
        ),
        # Failed jobs, by the columns that operators group by.
        Index(
            "jobs_failed_idx",
            "kind",
            "error_class",
            "error_group",
            "finished_at",
            postgresql_where=text("state = 'failed'"),
        ),
        # Jobs that no worker can read.
        Index("jobs_parked_idx", "kind", postgresql_where=text("parked_reason is not null")),
        # Jobs that wait in RabbitMQ.
        Index("jobs_queued_idx", "published_at", postgresql_where=text("state = 'queued'")),
        # Jobs that a worker holds. PERF: not by state: Postgres would then use this index for statements that end an
        # attempt, which compare the state and go by the job's id, and read every entry since the last vacuum.
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
    #: When the job gives up its unique key; with its row when neither is set.
    unique_until: datetime | None = moment(nullable=True)
    unique_while_unfinished: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    limit_name: str | None = Field(default=None, sa_type=Text)
    limit_key: str = Field(default="", sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    #: What an unpublished job waits for: a place under its `limit`, or the end of the `batch` whose end job it is.
    waits_for: str | None = Field(default=None, sa_type=Text)
    batch_id: UUID | None = None
    #: Attempts that count; ARCHITECTURE.md, the life of a job, lists those that do not.
    attempt: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    max_attempts: int
    time_limit_seconds: int
    fence: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    worker: int | None = None
    lease_until: datetime | None = moment(nullable=True)
    #: Its worker died while it held the job: it now runs alone, and its attempt is counted before it starts.
    quarantined: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    cancel_requested_at: datetime | None = moment(nullable=True)
    #: Why no worker can run it now: its kind or version is unknown to them, or its payload does not fit their contract.
    parked_reason: str | None = Field(default=None, sa_type=Text)
    progress: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    #: The error of the last failed attempt; `error_group` is the message without its variable parts, such as ids.
    error_class: str | None = Field(default=None, sa_type=Text)
    error_message: str | None = Field(default=None, sa_type=Text)
    error_group: str | None = Field(default=None, sa_type=Text)
    #: The user whose request enqueued the job, and who may read its state. Null and not anonymous: no request did.
    owner_id: UUID | None = None
    #: A request without a session enqueued the job: its id is the permission to read that it was accepted, later done.
    anonymous: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    correlation_id: str | None = Field(default=None, sa_type=Text)
    traceparent: str | None = Field(default=None, sa_type=Text)
    result: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    enqueued_at: datetime = moment(default_now=True)
    published_at: datetime | None = moment(nullable=True)
    started_at: datetime | None = moment(nullable=True)
    finished_at: datetime | None = moment(nullable=True)


class JobAttempt(SQLModel, table=True):
    """One claim of a job and its outcome. `attempt` is 0 when the attempt may not have started."""

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
    """A dead letter that the relay has to publish on `jobs_failed`; its error is in the failed attempt."""

    __tablename__ = "job_dead_letters"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    job_id: UUID = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True))
    fence: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = moment(default_now=True)


class Worker(SQLModel, table=True):
    """A worker process: alive while it holds the advisory lock of its number and its heartbeat is fresh."""

    __tablename__ = "workers"

    number: int = Field(primary_key=True, sa_column_kwargs={"server_default": Identity(always=True)})
    name: str = Field(sa_type=Text)
    lease_seconds: float = Field(sa_type=Float)
    started_at: datetime = moment(default_now=True)
    heartbeat_at: datetime = moment(default_now=True)
    #: Jobs that it can run at a time; None for a worker of a version that did not say so.
    threads: int | None = Field(default=None, sa_type=SmallInteger)
    #: What its threads ran at the heartbeat: `id`, `kind`, `attempt`, and the `seconds` for which it has run.
    running: list[dict[str, Any]] | None = Field(sa_column=Column(JSONB, nullable=True))


class Batch(SQLModel, table=True):
    """A batch of jobs that end together; `end_job_id` is the job that then runs."""

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint("on_failure in ('continue', 'wait', 'cancel')", name="batches_on_failure_check"),
        CheckConstraint("state in ('open', 'ended', 'cancelled')", name="batches_state_check"),
        Index("batches_open_idx", "id", postgresql_where=text("state = 'open'")),
        # A job is the end job of one batch, and finds it by this index.
        Index("batches_end_job_id_key", "end_job_id", unique=True),
    )

    id: UUID = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    #: The person who made it; None where no person did.
    owner_id: UUID | None = None
    on_failure: str = Field(sa_type=Text)
    state: str = Field(default="open", sa_type=Text, sa_column_kwargs={"server_default": text("'open'")})
    #: Complete: it may end once its members have.
    sealed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    end_job_id: UUID | None = None
    #: The number of members in each state, written when the batch ends.
    counts: dict[str, Any] | None = Field(sa_column=Column(JSONB, nullable=True))
    cancel_reason: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = moment(default_now=True)
    ended_at: datetime | None = moment(nullable=True)


class BatchRefusal(SQLModel, table=True):
    """A line of the request that made a batch for which nothing was done, and why. SECURITY: no personal data."""

    __tablename__ = "batch_refusals"

    batch_id: UUID = Field(sa_column=Column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True))
    line: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    reason: str = Field(sa_type=Text)


class JobStart(SQLModel, table=True):
    """A start of a job under a limit, which rates count."""

    __tablename__ = "job_starts"
    __table_args__ = (Index("job_starts_idx", "limit_name", "started_at"),)
    __mapper_args__ = {"primary_key": ["limit_name", "started_at"]}

    limit_name: str = Field(sa_type=Text)
    started_at: datetime = moment(default_now=True)


class JobKind(SQLModel, table=True):
    """A kind that is or was paused, by an operator or by its breaker, which probes with one job at a time."""

    __tablename__ = "job_kinds"
    __table_args__ = (
        # PERF: for the planner. Without them only a scan finds these rows, and the price that it puts on scans hides
        # the difference between the other parts of a statement: it then read every job by its id.
        Index("job_kinds_paused_idx", "kind", postgresql_where=text("paused_at is not null")),
        Index("job_kinds_probe_idx", "probe_job_id", postgresql_where=text("probe_job_id is not null")),
    )

    kind: str = Field(primary_key=True, sa_type=Text)
    paused_at: datetime | None = moment(nullable=True)
    paused_by: str | None = Field(default=None, sa_type=Text)
    pause_reason: str | None = Field(default=None, sa_type=Text)
    probe_job_id: UUID | None = None
    probe_at: datetime | None = moment(nullable=True)
    probe_wait_seconds: float | None = Field(default=None, sa_type=Float)
