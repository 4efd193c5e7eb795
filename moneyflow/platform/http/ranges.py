"""Ranges and conditions of reads (RFC 9110): which bytes of a file a client asks for, and whether it has them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from moneyflow.platform.http import etags
from moneyflow.platform.patterns import ASCII, Pattern

#: One range; several at once, and other units, are answered with the whole, as a server may.
_RANGE = Pattern(r"bytes=(\d{0,18})-(\d{0,18})", longest=43, flags=ASCII)
#: Characters of the longest date that a client sends.
_LONGEST_DATE = 64


class UnsatisfiableRangeError(ValueError):
    """The range begins after the last byte, or is empty."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The state of a file: its strong `ETag`, and when it was written, which HTTP gives to the second."""

    etag: str
    modified: datetime

    @property
    def last_modified(self) -> str:
        """Return the time as the header `Last-Modified` has it."""
        return format_datetime(self.modified.astimezone(UTC), usegmt=True)


def is_known(state: State, *, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Return whether the client has this state; a tag counts more than a time, and what is no time is ignored."""
    if if_none_match is not None:
        return etags.is_listed(state.etag, if_none_match=if_none_match)
    since = _moment(if_modified_since)
    return since is not None and state.modified.replace(microsecond=0) <= since


def part_of(size: int, state: State, *, range_header: str | None, if_range: str | None) -> tuple[int, int] | None:
    """Return the first byte and the number of bytes that the client asks for; None: all of it.

    Raises:
        UnsatisfiableRangeError: there are no such bytes.
    """
    found = _RANGE.fullmatch(range_header.strip()) if range_header is not None else None
    if found is None or found[1] == found[2] == "" or not _is_of(state, if_range):
        return None
    if found[1] == "":
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None  # No range at all.
    if start >= end:
        raise UnsatisfiableRangeError
    return start, end - start


def _is_of(state: State, if_range: str | None) -> bool:
    """Return whether a part of this state completes what the client has: by its strong tag, or its exact time."""
    return if_range is None or if_range.strip() in {state.etag, state.last_modified}


def _moment(header: str | None) -> datetime | None:
    if header is None or len(header) > _LONGEST_DATE:
        return None
    try:
        parsed = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
