"""Column types that several tables share."""

from typing import Any

from sqlalchemy import DateTime, text
from sqlmodel import Field


def moment(*, default_now: bool = False, **options: Any) -> Any:
    """Return a column of type `timestamp with time zone`; with `default_now` it defaults to the time of the insert."""
    arguments: dict[str, Any] = {"server_default": text("clock_timestamp()")} if default_now else {}
    return Field(sa_type=DateTime(timezone=True), sa_column_kwargs=arguments, **options)
