"""Clock of this machine, for logs and messages; jobs are due by Postgres's clock."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.now(UTC)


def from_timestamp(seconds: float) -> datetime:
    """Return the aware datetime in UTC of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC with microseconds, such as 2026-01-02T03:04:05.000006Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def rfc3339_to_the_second(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC, its fraction cut, such as 2026-01-02T03:04:05Z."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
