"""Kinds of columns that more than one table has."""

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, text
from sqlmodel import Field


def moment(*, default_now: bool = False, **options: Any) -> Any:
    """Return a column for a moment, aware, kept in UTC."""
    arguments: dict[str, Any] = {"server_default": text("clock_timestamp()")} if default_now else {}
    return Field(sa_type=DateTime(timezone=True), sa_column_kwargs=arguments, **options)


Moment = datetime
