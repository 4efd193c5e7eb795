"""Table of schedules: the next tick of each, and its last job."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class ScheduleRow(SQLModel, table=True):
    """A schedule of `moneyflow/jobs/`, as the leading relay wrote it.

    The transaction that advances `next_tick_at` inserts the job of that tick.
    """

    __tablename__ = "schedules"

    name: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    cron: str = Field(sa_type=Text)
    time_zone: str = Field(sa_type=Text)
    overlap: str = Field(sa_type=Text)
    catch_up: str = Field(sa_type=Text)
    next_tick_at: datetime = moment()
    #: The last tick that was enqueued.
    last_tick_at: datetime | None = moment(nullable=True)
    last_job_id: UUID | None = None
    #: Ticks skipped while the previous job was unfinished, and ticks missed because they came too late.
    skipped: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    missed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    paused_at: datetime | None = moment(nullable=True)
    paused_by: str | None = Field(default=None, sa_type=Text)
    pause_reason: str | None = Field(default=None, sa_type=Text)
    #: When a relay found that the code no longer declares it.
    removed_at: datetime | None = moment(nullable=True)
