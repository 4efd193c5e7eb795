"""Table of the answers under an `Idempotency-Key`."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from moneyflow.platform.columns import moment


class IdempotencyKey(SQLModel, table=True):
    """The first answer to a request, written in the transaction of the request's effects."""

    __tablename__ = "idempotency_keys"

    scope: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    body_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int
    headers: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = moment(default_now=True)
