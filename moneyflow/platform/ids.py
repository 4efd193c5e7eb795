"""Identifiers: UUIDv7 (RFC 9562), which grow with time, so that new rows are close together in an index."""

from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid_utils.compat.uuid7()


def first_id(moment: datetime) -> UUID:
    """Return the lowest UUIDv7 of a moment: ids that were made before are below it."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def made_at(made: UUID) -> datetime:
    """Return the moment at which a UUIDv7 was made, in milliseconds, by the clock of the machine that made it."""
    return datetime.fromtimestamp((made.int >> 80) / 1000, UTC)


def parse_id(text: str) -> UUID | None:
    """Parse a UUID in its canonical form; return None for any other text."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None
