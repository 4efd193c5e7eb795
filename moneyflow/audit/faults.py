"""Faults of a chain: which row is bad, and in what way, as an operator reads it."""

from typing import NamedTuple

from psycopg.rows import DictRow

from moneyflow.audit.hashes import hash_of_seal


class Row(NamedTuple):
    """A row as verification reads it; the last six are the columns for searching."""

    position: int
    kafka_offset: int
    key: bytes | None
    value: bytes
    previous_hash: bytes
    hash: bytes
    id: str
    type: str
    subject: str
    time: bytes
    actor_id: str | None
    correlation_id: str | None

    def named(self, what: str) -> str:
        """Return the row's place with what happened to it."""
        return f"position {self.position} was {what} (event {self.id}, offset {self.kafka_offset})"


class Link(NamedTuple):
    """Where the next row has to be: its position, the hash that it follows, and the hash before that."""

    expected: int
    previous: bytes
    before: bytes | None


def fault_of_row(row: Row, following: Row | None, link: Link, *, intact: bool, height: int) -> str:
    """Return what is wrong with a row that does not follow; `intact` says whether its own hash holds."""
    if row.position > link.expected:
        return f"position {link.expected} was removed"
    if row.position < link.expected or row.position > height:
        return row.named("inserted" if row.position < link.expected else "inserted after the end of the chain")
    return row.named("changed") if row.previous_hash == link.previous else _broken_link(row, following, link, intact)


def _broken_link(row: Row, following: Row | None, link: Link, intact: bool) -> str:
    """Return which row is bad when a row at its place does not follow the one before."""
    if following is not None and following.previous_hash == link.previous:
        return row.named("inserted")  # The next one still follows the one before.
    if row.previous_hash == link.before:
        return f"position {row.position - 1} was inserted"
    return f"position {row.position - 1} was changed, or a seal there" if intact else row.named("changed or inserted")


def fault_of_seal(seal: DictRow, *, last: bytes) -> str | None:
    """Return what is wrong with a seal after a row with the hash `last`, if anything."""
    if bytes(seal["hash"]) != hash_of_seal(seal):
        return f"the seal at position {seal['position']} was changed"
    if bytes(seal["head_hash"]) != last:
        return f"position {seal['position']} does not fit its seal: it or rows before it were changed"
    return None


def fault_at_end(chain: DictRow, link: Link) -> str | None:
    """Return what is wrong with the end of a chain, whose rows all follow."""
    rows = link.expected - 1
    if rows < chain["height"]:
        return f"position {link.expected} was removed"
    if link.previous != bytes(chain["head_hash"]):
        return f"position {rows} does not fit the head: it was changed, or rows after it were removed"
    if rows == 0 and (chain["next_offset"] or 0) > 0:
        return f"no chain, although {chain['next_offset']} records were read: it was removed, or every record was bad"
    return None
