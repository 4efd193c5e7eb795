"""Verification: walks each hash chain from its first row to its head, and names the first bad row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain as chained
from itertools import pairwise
from pathlib import Path
from typing import Any

from psycopg.rows import DictRow

from moneyflow.audit.hashes import GENESIS, hash_of_checkpoint, hash_of_row
from moneyflow.platform.database import Session
from moneyflow.platform.errors import PoisonError
from moneyflow.platform.events import envelope
from moneyflow.platform.queries import load_queries

_QUERIES = load_queries(Path(__file__).with_suffix(".sql"))

#: Rows that verification reads at once; a few megabytes.
_PAGE = 2000


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A verified chain; `fault` names its first bad row, or is None."""

    topic: str
    partition: int
    rows: int
    fault: str | None


def verify(session: Session) -> Iterator[Chain]:
    """Verify every chain from its first row to its head and yield each result."""
    for chain in session.fetch_all(_QUERIES["chains"], {"genesis": GENESIS}):
        yield _walk(session, chain)


def _walk(session: Session, chain: DictRow) -> Chain:
    place = {"topic": chain["topic"], "partition": chain["partition"]}
    checkpoints = {row["position"]: row for row in session.fetch_all(_QUERIES["checkpoints"], place)}
    expected, previous, before = 1, GENESIS, None
    fault: str | None = None
    for row, following in pairwise(chained(_rows(session, place), (None,))):
        assert row is not None, "only the last one is"
        if row["position"] > chain["height"] and row["position"] == expected:
            fault = _named(row, "inserted after the end of the chain")
        else:
            fault = _fault(row, following, expected=expected, previous=previous, before=before)
        if fault:
            break
        expected, previous, before = expected + 1, bytes(row["hash"]), previous
        if checkpoint := checkpoints.get(row["position"]):
            fault = _fault_of_checkpoint(checkpoint, last=previous)
            if fault:
                break
            previous = bytes(checkpoint["hash"])
    if fault is None:
        fault = _fault_at_end(chain, rows=expected - 1, last=previous)
    sealed = [f"{row['fault']}, before the checkpoint there" for row in checkpoints.values() if row["fault"]]
    return Chain(**place, rows=expected - 1, fault="; ".join([*sealed, *([fault] if fault else [])]) or None)


def _fault_of_checkpoint(checkpoint: DictRow, *, last: bytes) -> str | None:
    if bytes(checkpoint["hash"]) != hash_of_checkpoint(checkpoint):
        return f"the checkpoint at position {checkpoint['position']} was changed"
    if bytes(checkpoint["head_hash"]) != last:
        return f"position {checkpoint['position']} does not fit its checkpoint: it or rows before it were changed"
    return None


def _fault(
    row: DictRow, following: DictRow | None, *, expected: int, previous: bytes, before: bytes | None
) -> str | None:
    """Return what is wrong with a row that should be at `expected`, after rows whose hashes are given."""
    if row["position"] < expected:
        return _named(row, "inserted")
    if row["position"] > expected:
        return f"position {expected} was removed"
    intact = bytes(row["hash"]) == hash_of_row(row)
    if bytes(row["previous_hash"]) != previous:
        return _fault_of_link(row, following, previous=previous, before=before, intact=intact)
    return None if intact and _columns_agree(row) else _named(row, "changed")


def _fault_of_link(
    row: DictRow, following: DictRow | None, *, previous: bytes, before: bytes | None, intact: bool
) -> str:
    """Return which row is bad when a row does not follow the one before it."""
    if following is not None and bytes(following["previous_hash"]) == previous:
        return _named(row, "inserted")  # The next one still follows the one before.
    if bytes(row["previous_hash"]) == before:
        return f"position {row['position'] - 1} was inserted"
    last = f"position {row['position'] - 1}"
    return f"{last} was changed, or a checkpoint there" if intact else _named(row, "changed or inserted")


def _fault_at_end(chain: DictRow, *, rows: int, last: bytes) -> str | None:
    if rows < chain["height"]:
        return f"position {rows + 1} was removed"
    if last != bytes(chain["head_hash"]):
        return f"position {rows} does not fit the head: it was changed, or rows after it were removed"
    if rows == 0 and (chain["next_offset"] or 0) > 0:
        return f"no chain, although {chain['next_offset']} records were read: it was removed, or every record was bad"
    return None


def _columns_agree(row: DictRow) -> bool:
    """Return whether the columns for searching still agree with the event."""
    try:
        event = envelope.read(bytes(row["value"]))
    except PoisonError:
        return False
    names = ("id", "type", "subject", "time", "actor_id", "correlation_id")
    return all(row[name] == getattr(event, name) for name in names)


def _named(row: DictRow, what: str) -> str:
    return f"position {row['position']} was {what} (event {row['id']}, offset {row['kafka_offset']})"


def _rows(session: Session, place: dict[str, Any]) -> Iterator[DictRow]:
    after = -(2**63)
    while page := session.fetch_all(_QUERIES["page"], {**place, "after": after, "limit": _PAGE}):
        yield from page
        after = page[-1]["position"]
