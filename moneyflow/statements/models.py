"""Tables of imports."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment

_NONE_YET: dict[str, Any] = {"server_default": text("0")}


class ImportRow(SQLModel, table=True):
    """An import of a statement. `rows_read` is where it continues: all rows up to there are done and counted."""

    __tablename__ = "imports"
    __table_args__ = (
        UniqueConstraint("job_id", name="imports_job_id_key"),
        CheckConstraint("outcome in ('succeeded', 'failed')", name="imports_outcome_check"),
        CheckConstraint("(outcome is not distinct from 'failed') = (error is not null)", name="imports_error_check"),
        CheckConstraint("(outcome is null) = (finished_at is null)", name="imports_finished_check"),
        CheckConstraint("rows_read = rows_added + rows_duplicate + rows_refused", name="imports_rows_check"),
        Index("imports_user_id_idx", "user_id"),
        Index("imports_file_id_idx", "file_id", postgresql_where=text("file_id is not null")),
        Index("imports_created_at_idx", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))
    #: The job that reads it.
    job_id: UUID
    #: The uploaded file, until the import has ended or the file has expired.
    file_id: UUID | None = Field(sa_column=Column(ForeignKey("files.id", ondelete="SET NULL"), nullable=True))
    #: The name of the file, as it was sent.
    name: str = Field(sa_type=Text)
    size: int = Field(sa_type=BigInteger)
    #: How the file is read: `reading.mapping.Plan`. It is fixed with the row, so that each attempt reads the same.
    plan: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    #: None until it has ended; what its job did without it is derived from the job.
    outcome: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    rows_read: int = Field(default=0, sa_column_kwargs=_NONE_YET)
    rows_added: int = Field(default=0, sa_column_kwargs=_NONE_YET)
    rows_duplicate: int = Field(default=0, sa_column_kwargs=_NONE_YET)
    rows_refused: int = Field(default=0, sa_column_kwargs=_NONE_YET)
    created_at: datetime = moment(default_now=True)
    finished_at: datetime | None = moment(nullable=True)


class ImportRefusalRow(SQLModel, table=True):
    """A row of a statement that was refused: its number among all rows, its line in the file, and why."""

    __tablename__ = "import_refusals"

    import_id: UUID = Field(sa_column=Column(ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True))
    row: int = Field(primary_key=True)
    line: int
    reason: str = Field(sa_type=Text)


class ImportKeyRow(SQLModel, table=True):
    """The key of an entry that was taken from a statement: the same entry is taken once (`fingerprints.py`)."""

    __tablename__ = "import_keys"

    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True))
    key: bytes = Field(primary_key=True)
