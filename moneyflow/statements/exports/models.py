"""Table of exports."""

import datetime as dt
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class ExportRow(SQLModel, table=True):
    """An export that a person asked for. It is ready once it has a file; until then its job says how it is."""

    __tablename__ = "exports"
    __table_args__ = (
        CheckConstraint("format in ('csv', 'pdf', 'zip')", name="exports_format_check"),
        # A statement has a period; the data of a person have none.
        CheckConstraint(
            "(format = 'zip') = (first_day is null) and (format = 'zip') = (last_day is null)",
            name="exports_period_check",
        ),
        Index("exports_user_id_idx", "user_id", "id"),
        Index("exports_expires_at_idx", "expires_at"),
        Index("exports_file_id_idx", "file_id", postgresql_where=text("file_id is not null")),
    )

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    format: str = Field(sa_type=Text)
    first_day: dt.date | None = None
    last_day: dt.date | None = None
    #: The job that was enqueued with the export.
    job_id: UUID
    file_id: UUID | None = Field(sa_column=Column(ForeignKey("files.id", ondelete="SET NULL"), nullable=True))
    created_at: dt.datetime = moment(default_now=True)
    #: Of the row; of the file too, once it is there.
    expires_at: dt.datetime = moment()
