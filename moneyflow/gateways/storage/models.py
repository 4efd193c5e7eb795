"""Tables of files, and of the keys that are to be deleted from the storage."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Text, text
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class FileRow(SQLModel, table=True):
    """A file: what it is, and whose. Its content is in the storage under `key`, and was there before this row.

    A trigger leaves the key of every deleted row in `file_deletions`.
    """

    __tablename__ = "files"
    __table_args__ = (
        CheckConstraint("size >= 0", name="files_size_check"),
        Index("files_expires_at_idx", "expires_at", postgresql_where=text("expires_at is not null")),
        Index("files_job_id_idx", "job_id", postgresql_where=text("job_id is not null")),
        Index("files_owner_id_idx", "owner_id", postgresql_where=text("owner_id is not null")),
    )

    id: UUID = Field(primary_key=True)
    #: In the order of the storage's keys, with which the sweep compares them.
    key: str = Field(sa_column=Column(Text(collation="C"), nullable=False, unique=True))
    #: The person who may read it; None: administrators alone.
    owner_id: UUID | None = Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=True))
    #: The job whose result it is, and with which it is deleted.
    job_id: UUID | None = Field(sa_column=Column(ForeignKey("jobs.id", ondelete="CASCADE"), nullable=True))
    name: str = Field(sa_type=Text)
    content_type: str = Field(sa_type=Text)
    #: Bytes.
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    #: Hexadecimal.
    sha256: str = Field(sa_type=Text)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime | None = moment(nullable=True)


class FileDeletion(SQLModel, table=True):
    """A key whose row was deleted: the sweep deletes the file, and then this."""

    __tablename__ = "file_deletions"

    key: str = Field(sa_column=Column(Text(collation="C"), primary_key=True))
    deleted_at: datetime = moment(default_now=True)
