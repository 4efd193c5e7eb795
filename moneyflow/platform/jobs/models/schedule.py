"""When each declared schedule ticks next, and how it went."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class ScheduleRow(SQLModel, table=True):
    """A schedule of `moneyflow/jobs/`, as the leading relay declared it.

    Whoever moves `next_tick_at` on inserts the job of that tick in the same transaction.
    """

    __tablename__ = "schedules"

    name: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    cron: str = Field(sa_type=Text)
    time_zone: str = Field(sa_type=Text)
    overlap: str = Field(sa_type=Text)
    catch_up: str = Field(sa_type=Text)
    next_tick_at: datetime = moment()
    #: Of the last tick that was enqueued.
    last_tick_at: datetime | None = moment(nullable=True)
    last_job_id: UUID | None = None
    #: Ticks left out because the job before had not ended, and because they came too late.
    skipped: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    missed: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    paused_at: datetime | None = moment(nullable=True)
    paused_by: str | None = Field(default=None, sa_type=Text)
    pause_reason: str | None = Field(default=None, sa_type=Text)
    #: No code declares it any more.
    removed_at: datetime | None = moment(nullable=True)
